import { LOG_LEVELS } from '@proj/console'
import {
  boolean,
  defineCommands,
  defineSettings,
  duration,
  integer,
  list,
  listenAddresses,
  oneOf,
  path,
  setting,
  size,
  text,
} from '@proj/config'

/** Every setting of the server: its key, flag, variable, default and words. */
export const settings = defineSettings({
  envPrefix: 'ADIT',
  tree: {
    proxy: {
      bindAddr: setting(listenAddresses(), {
        default: ':8000',
        description: 'Where visitors and consumers connect.',
      }),
      headTimeoutMs: setting(duration({ min: '10ms' }), {
        default: '10s',
        description: 'From the first byte of a request head to its last; then 408.',
      }),
      firstByteTimeoutMs: setting(duration({ min: '10ms' }), {
        default: '30s',
        description: 'From the request to the first byte of its answer; then 504.',
      }),
      idleTimeoutMs: setting(duration({ min: '10ms' }), {
        default: '5m',
        description: 'Without a byte in either direction; an exchange has no limit as a whole.',
      }),
      upgradeIdleTimeoutMs: setting(duration({ min: '10ms' }), {
        default: '1h',
        description: 'Like idle-timeout, for WebSockets and other upgraded connections.',
      }),
      keepAliveTimeoutMs: setting(duration({ min: '10ms' }), {
        default: '75s',
        description: 'Between requests on a kept-alive connection; then it is closed.',
      }),
      maxHeadBytes: setting(size({ min: '1KiB', max: '1MiB' }), {
        default: '32KiB',
        description: 'Largest request head; then 431.',
      }),
      maxConnections: setting(integer({ min: 1 }), {
        default: '20000',
        description: 'Visitors at once; one more is answered 503.',
      }),
      trustedHops: setting(integer({ min: 0, max: 16 }), {
        default: '0',
        description: 'Proxies in front of this server whose X-Forwarded headers are believed.',
      }),
      baseDomain: setting(text(), {
        description: 'Domain below which endpoints live; without it, the first label of any host.',
      }),
    },
    upstream: {
      bindAddr: setting(listenAddresses(), {
        default: ':8001',
        description: 'Where agents connect.',
      }),
    },
    admin: {
      bindAddr: setting(listenAddresses(), {
        default: 'localhost:8002',
        description: 'Where health, metrics and status are shown.',
      }),
    },
    log: {
      level: setting(oneOf(LOG_LEVELS), {
        default: 'info',
        description: 'Least important line that is written.',
      }),
      format: setting(oneOf(['auto', 'text', 'json']), {
        default: 'auto',
        description: 'auto: text on a terminal, JSON elsewhere.',
      }),
    },
    gracePeriodMs: setting(duration(), {
      default: '1m',
      description: 'How long running exchanges may take to finish when the server stops.',
    }),
  },
})

/** Every command of the server. */
export const commands = defineCommands({
  program: 'adit-server',
  description: 'Carries visitors to services that have no public address.',
  settings,
  globals: {
    config: setting(list(path()), {
      default: [],
      short: 'c',
      description: 'Configuration file; several are merged in order.',
    }),
    json: setting(boolean(), {
      default: 'false',
      description: 'Print one JSON object per event on standard output.',
    }),
  },
  commands: {
    start: { description: 'Runs the server.' },
  },
  defaultCommand: 'start',
  examples: ['adit-server', 'adit-server --proxy.bind-addr 127.0.0.1:9000 --log.level debug'],
})
