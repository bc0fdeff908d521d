// @ts-check
// Every error code that somebody may meet, from its definition in the sources: what it means, who
// should act, what they can do, how it looks. The definitions are the one home of these texts; here
// they are only brought into one form, for docs/reference/errors.
// Length: one declaration, with a few lines for each family.
import { API_ERRORS } from '../../../apps/server/src/admin/api/api-error.ts'
import { PROXY_ERRORS } from '../../../apps/server/src/proxy/proxy-errors.ts'
import { STORE_ERRORS } from '../../../apps/server/src/store/store-error.ts'
import { TLS_ERRORS } from '../../../apps/server/src/tls/tls-errors.ts'
import { ACCESS_FAILURES, ACCESS_HINTS } from '../../../apps/agent/src/access/access-failure.ts'
import { SERVICE_EXPECTS_TLS } from '../../../apps/agent/src/listeners/service-errors.ts'
import { AUTH_ACTORS } from '../../../packages/auth/src/error-actors.ts'
import { CLUSTER_ACTORS } from '../../../packages/cluster/src/error-actors.ts'
import { CONFIG_ADVICE } from '../../../packages/config/src/error-advice.ts'
import { DIAL_ADVICE } from '../../../packages/dialer/src/error-advice.ts'
import { MUX_ADVICE } from '../../../packages/mux/src/error-advice.ts'
import { PROGRAM_ADVICE } from '../../../packages/program-kit/src/error-advice.ts'
import { TUNNEL_ACTORS } from '../../../packages/tunnel/src/error-actors.ts'
import { WEBSOCKET_ADVICE } from '../../../packages/tunnel/src/websocket/error-advice.ts'
import { AUTH_ERRORS, AuthError } from '../../../packages/auth/src/errors.ts'
import { DENIAL_CODES } from '../../../packages/auth/src/visitors/decision.ts'
import { CLUSTER_ERRORS, ClusterError } from '../../../packages/cluster/src/errors.ts'
import { CONFIG_ERRORS } from '../../../packages/config/src/errors.ts'
import { DIAL_ERRORS } from '../../../packages/dialer/src/errors.ts'
import { HTTP_FAULTS, HttpError } from '../../../packages/http1/src/errors.ts'
import { MUX_ERRORS } from '../../../packages/mux/src/errors.ts'
import { PORTCHECK_ERRORS } from '../../../packages/portcheck/src/errors.ts'
import { PROGRAM_ERRORS, SERVICE_ERRORS } from '../../../packages/program-kit/src/errors.ts'
import {
  VISITOR_WORDING,
  visitorWording,
} from '../../../packages/program-kit/src/visitors/visitor-wording.ts'
import { TUNNEL_ERRORS } from '../../../packages/tunnel/src/errors.ts'
import { WEBSOCKET_ERRORS } from '../../../packages/tunnel/src/websocket/errors.ts'

/**
 * @typedef {object} ErrorEntry
 * @property {string} code
 * @property {string} meaning - one sentence, without a full stop
 * @property {string} who - who should act
 * @property {string} todo - what they can do, or the visitor
 * @property {string} [ownerTodo] - what the owner of the service can do; empty: nothing
 * @property {string} [again] - whether the same may succeed later
 * @property {string} [looks] - what is printed or sent, several lines
 */

/**
 * @typedef {object} ErrorFamily
 * @property {string} page - name of its file, without extension
 * @property {string} title
 * @property {string} about - where these codes are met
 * @property {Sample[]} samples - how they look
 * @property {readonly ErrorEntry[]} entries
 */

/**
 * What a program prints or sends; a test runs it.
 *
 * @typedef {object} Sample
 * @property {string} command
 * @property {string} output
 */

const WHO = {
  developer: 'who writes or runs this program',
  peer: 'who writes or runs the other side',
  network: 'who runs the network between the two',
  owner: 'who runs the agent, the consumer or the service',
  operator: 'who runs the server',
  maintainers: 'the maintainers of Adit: please report it',
  nobody: 'nobody: the programs go on by themselves',
}

const SENDER = { ...WHO, peer: 'who sent the credentials' }
const USER = 'who runs the program that prints it'

/** Who should act, by the kind of a failed dial. */
const BY_KIND = {
  config: USER,
  network: 'who runs the program, or their network',
  proxy: 'who runs the program, or the proxy',
  tls: 'who runs the server, or the device that replaced its certificate; else who runs the program',
  server: 'who runs the server; else who runs the program, if it is not the URL of a server',
}

/** Who should act, by the part of the way that fails for a visitor. */
const BY_PART = {
  visitor: 'the visitor',
  tunnel: WHO.operator,
  agent: 'who runs the agent',
  service: 'who runs the service',
}

/** @type {Readonly<Record<'yes' | 'slow' | 'no', string>>} */
const AGAIN = {
  yes: 'yes',
  slow: 'after a change outside of the program',
  no: 'only after a change of the options',
}

/** @param {boolean} retryable */
const again = (retryable) => (retryable ? 'yes' : 'no')

/**
 * @template {object} T
 * @param {Readonly<Record<string, T>>} table
 * @param {(info: T, code: string) => Omit<ErrorEntry, 'code'>} entryOf
 * @returns {ErrorEntry[]}
 */
function entries(table, entryOf) {
  return Object.entries(table).map(([code, info]) => ({ code, ...entryOf(info, code) }))
}

/**
 * The entry of a table that has one for each code.
 *
 * @template T
 * @param {Readonly<Record<string, T>>} table
 * @param {string} code
 * @returns {T}
 */
function of(table, code) {
  const found = table[code]
  if (found === undefined) throw new Error(`nothing is said of ${code}`)
  return found
}

/**
 * @param {Readonly<Record<string, string>>} meanings
 * @param {Readonly<Record<string, string>>} advice
 * @returns {ErrorEntry[]}
 */
function sentences(meanings, advice) {
  return Object.entries(meanings).map(([code, meaning]) => ({
    code,
    meaning,
    who: USER,
    todo: of(advice, code),
  }))
}

/** @type {Map<string, number>} status of each answer to visitors */
const STATUSES = new Map([
  ...Object.values(PROXY_ERRORS).map(
    ({ code, status }) => /** @type {[string, number]} */ ([code, status]),
  ),
  ...Object.entries(DENIAL_CODES).map(
    ([code, { status }]) => /** @type {[string, number]} */ ([code, status]),
  ),
])

/** @type {readonly ErrorFamily[]} */
export const ERROR_FAMILIES = [
  {
    page: 'visitors',
    title: 'Answers to visitors',
    about:
      'The header `adit-error` of an answer that the server gave itself. [What visitors are told](../../visitor-errors.md) has the forms of the answer, and how to replace its page. Faults of HTTP messages are on [a page of their own](http.md).',
    samples: [
      {
        command: "curl -s http://web.localhost:8000 -H 'Accept: text/plain'",
        output:
          '503 This service is offline (no_upstream)\nIts computer is not connected now.\nNothing is wrong on your side. Try again later, or tell the owner.\nRequest id f409bd765d8a-3, 2026-11-30 15:54:58 UTC',
      },
    ],
    entries: [
      ...[...new Set([...Object.keys(VISITOR_WORDING), ...STATUSES.keys()])]
        .toSorted()
        .map((code) => {
          const status = STATUSES.get(code)
          const { title, what, visitor, owner, part } = visitorWording(code, status ?? 502)
          return {
            code,
            meaning: what === '' ? title : `${title}. ${withoutStop(what)}`,
            who: BY_PART[part],
            todo: visitor,
            ownerTodo: owner,
            looks: [
              `${status === undefined ? '' : `${status} `}${title} (${code})`,
              ...(what === '' ? [] : [what]),
              visitor,
            ].join('\n'),
          }
        }),
      ...entries(TLS_ERRORS, ({ status, error, hint }, code) => ({
        meaning: error,
        who: BY_PART.visitor,
        todo: hint,
        looks: `HTTP/1.1 ${status}\nadit-error: ${code}\n\n${JSON.stringify({ error })}`,
      })),
    ],
  },
  {
    page: 'http',
    title: 'Faults of HTTP messages',
    about:
      'A request of a visitor, or an answer of a service, that breaks the grammar of HTTP. In `adit-error` the code is in lower case. Programs that use `@proj/http1` meet it as `error.code` of an `HttpError`. The same bytes are rejected again.',
    samples: [],
    entries: /** @type {('request' | 'response')[]} */ (['request', 'response']).flatMap((side) =>
      Object.entries(HTTP_FAULTS)
        .filter(([, { sides }]) => sides.includes(side))
        .map(([fault, { meaning, hint }]) => {
          const error = new HttpError(side, /** @type {any} */ (fault), 'at byte 35')
          return {
            code: error.code,
            meaning,
            who:
              side === 'request'
                ? 'who wrote the program of the visitor'
                : 'who writes or runs the service',
            todo: hint,
            again: 'no',
            looks: `HTTP/1.1 ${error.status}\nadit-error: ${error.code.toLowerCase()}\n\n${JSON.stringify({ error: `${error.message}${side === 'response' ? `; to mend the service: ${hint}` : ''}` })}`,
          }
        }),
    ),
  },
  {
    page: 'access',
    title: 'Connections of an access',
    about:
      'The `code` in the log of `adit access` and in `adit status`, for a connection that was reset because it could not be carried, or broke.',
    samples: [],
    entries: Object.entries(ACCESS_FAILURES).map(([code, meaning]) => ({
      code,
      meaning,
      who: code.startsWith('service_') ? BY_PART.service : WHO.owner,
      todo: ACCESS_HINTS[code] ?? '',
      looks: JSON.stringify({
        level: 'warn',
        endpoint: 'pc1',
        code,
        why: meaning,
        msg: 'connection not carried',
      }),
    })),
  },
  {
    page: 'tunnel',
    title: 'Agents, consumers and the server',
    about:
      'Why an agent or a consumer is not served, at the end of a message of `adit`, in its log as `err.code`, and as `error.code` of a `TunnelError` in the SDK (`@proj/tunnel`).',
    samples: [
      {
        command: 'adit http web 3000 --url http://127.0.0.1:8002',
        output:
          'adit: http://127.0.0.1:8002 is the port for operators of a server, not its port for agents (TUNNEL_WRONG_PORT)\n  give the URL of its port for agents: 8001, unless the server is configured otherwise',
      },
    ],
    entries: [
      ...entries(TUNNEL_ERRORS, ({ what, hint, retryable }, code) => ({
        meaning: what,
        who: WHO[of(TUNNEL_ACTORS, code)],
        todo: hint,
        again: again(retryable),
      })),
      {
        code: SERVICE_EXPECTS_TLS.code,
        meaning: SERVICE_EXPECTS_TLS.what,
        who: BY_PART.agent,
        todo: SERVICE_EXPECTS_TLS.hint,
      },
    ],
  },
  {
    page: 'dial',
    title: 'Connecting out',
    about:
      'Why a connection to the server, to a proxy or to a service was not made: in `adit connect diagnose`, in the log as `err.code`, and as `error.code` of a `DialError` (`@proj/dialer`). [Networks](../../networks.md) has the settings.',
    samples: [
      {
        command: 'adit connect diagnose --url http://127.0.0.1:9',
        output:
          'target    ws://127.0.0.1:9/piko/v1/upstream/adit-session\n  server tcp  FAIL      3 ms\nerror     DIAL_CONNECT_REFUSED: cannot reach the server at 127.0.0.1:9: 127.0.0.1:9 refused the connection\nhint      check host and port, and that the server is running',
      },
    ],
    entries: entries(DIAL_ERRORS, ({ meaning, kind, retry }, code) => ({
      meaning,
      who: BY_KIND[kind],
      todo: of(DIAL_ADVICE, code),
      again: AGAIN[retry],
    })),
  },
  {
    page: 'config',
    title: 'Configuration and command line',
    about:
      'What is wrong with a file, a variable or a flag. People get the place and the text; the code is in `config check --json`, and in `problem.code` of `@proj/config`.',
    samples: [
      {
        command: 'adit-server config check --server.port 1',
        output: 'error: unknown flag --server.port\nhelp: adit-server help config check',
      },
    ],
    entries: [
      ...sentences(CONFIG_ERRORS, CONFIG_ADVICE),
      ...sentences(PROGRAM_ERRORS, PROGRAM_ADVICE),
    ],
  },
  {
    page: 'service',
    title: 'The commands service install, status and uninstall',
    about:
      'What keeps `adit service` and `adit-server service` from their work; the code is in `--json`.',
    samples: [],
    entries: sentences(SERVICE_ERRORS, PROGRAM_ADVICE).map((entry) => ({
      ...entry,
      looks: `adit: ${entry.meaning}`,
    })),
  },
  {
    page: 'ports',
    title: 'Ports to listen on',
    about:
      'Why a program cannot listen on an address. People get the text with the program that holds the port, and exit code 3; programs get `error.code` of a `PortcheckError` (`@proj/portcheck`).',
    samples: [],
    entries: entries(PORTCHECK_ERRORS, ({ happened, retryable, hint }) => ({
      meaning: happened,
      who: USER,
      todo: hint,
      again: again(retryable),
    })),
  },
  {
    page: 'store',
    title: 'What the server stores',
    about:
      'Why `adit-server` cannot read or write its data directory or its database, at the end of its message and in its log. [Names](../../names.md) says how to back up and restore.',
    samples: [],
    entries: entries(STORE_ERRORS, ({ what, hint }) => ({
      meaning: what,
      who: WHO.operator,
      todo: hint,
    })),
  },
  {
    page: 'cluster',
    title: 'Several servers with one database',
    about:
      'Trouble of a node with the database or with other nodes: in the log of `adit-server`, and as `error.code` of a `ClusterError` (`@proj/cluster`). [Clusters](../../cluster.md) has the settings.',
    samples: [],
    entries: entries(CLUSTER_ERRORS, ({ what, hint, retryable }, code) => ({
      meaning: what,
      who: WHO[of(CLUSTER_ACTORS, code)],
      todo: hint,
      again: again(retryable),
      looks: new ClusterError(/** @type {any} */ (code)).message,
    })),
  },
  {
    page: 'identity',
    title: 'Credentials and rules for visitors',
    about:
      'Why credentials are not accepted, or rules for visitors not taken. The peer gets the status and the short text; the log of the server has the exact reason as `why`. Programs get `error.code` of an `AuthError` (`@proj/auth`). [Identity](../../identity.md) has the settings.',
    samples: [],
    entries: entries(AUTH_ERRORS, ({ what, hint, retryable, status }, code) => ({
      meaning: what,
      who: SENDER[of(AUTH_ACTORS, code)],
      todo: hint,
      again: again(retryable),
      looks:
        status === undefined
          ? new AuthError(/** @type {any} */ (code)).message
          : `HTTP/1.1 ${status}\n\n${JSON.stringify({ error: new AuthError(/** @type {any} */ (code)).text })}`,
    })),
  },
  {
    page: 'api',
    title: 'The API of the admin port',
    about: 'The member `code` of an answer below `/api/v1`. [The API](../../api.md) has its rules.',
    samples: [],
    entries: entries(API_ERRORS, ({ status, meaning, hint }, code) => ({
      meaning,
      who: status >= 500 ? WHO.operator : 'who calls the API',
      todo: hint,
      looks: `HTTP/1.1 ${status}\n\n${JSON.stringify({ error: meaning, code, hint })}`,
    })),
  },
  {
    page: 'mux',
    title: 'Sessions and streams',
    about:
      'Failures of the multiplexed connection between two programs: `error.code` of a `MuxError` (`@proj/mux`), and `err.code` in logs.',
    samples: [],
    entries: entries(MUX_ERRORS, ({ what, retryable }, code) => ({
      meaning: what,
      who: WHO[of(MUX_ADVICE, code).who],
      todo: of(MUX_ADVICE, code).hint,
      again: again(retryable),
    })),
  },
  {
    page: 'websocket',
    title: 'WebSocket connections',
    about:
      'Failures of the WebSocket between agent and server: `error.code` of a `WebSocketPipeError` (`@proj/tunnel`), and `err.code` in logs.',
    samples: [],
    entries: entries(WEBSOCKET_ERRORS, ({ what, retryable }, code) => ({
      meaning: what,
      who: WHO[of(WEBSOCKET_ADVICE, code).who],
      todo: of(WEBSOCKET_ADVICE, code).hint,
      again: again(retryable),
    })),
  },
]

/** @param {string} text */
function withoutStop(text) {
  return text.replace(/\.$/, '')
}
