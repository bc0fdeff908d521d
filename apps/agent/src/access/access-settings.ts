import { LISTENER_SETTINGS } from '@proj/program-kit'
import {
  boolean,
  duration,
  listenAddresses,
  oneOf,
  type Resolved,
  setting,
  text,
} from '@proj/config'

/** What can be said about an access beside its endpoint. */
export const ACCESS_SETTINGS = {
  bindAddr: setting(listenAddresses(), {
    required: true,
    description: 'Where it is reached from here: 127.0.0.1:9901, localhost:0, unix:/path.',
  }),
  timeoutMs: setting(duration({ min: '10ms' }), {
    default: '15s',
    description: 'How long a connection waits for the server while there is none.',
  }),
  ...LISTENER_SETTINGS,
  onConflict: setting(oneOf(['fail', 'wait', 'next', 'retry']), {
    default: 'fail',
    description:
      'When the address is taken: end, wait until it is free, take the next free port, or serve ' +
      'the others and try for ever.',
  }),
  public: setting(boolean(), {
    default: 'false',
    description:
      'Other machines may connect: needed to bind more than loopback without an allow list.',
  }),
  socketMode: setting(
    text({ pattern: /0?[0-7]{3}/, allowed: 'permissions in octal, such as 0660', name: 'mode' }),
    { default: '0600', description: 'Permissions of a unix socket: who may connect.' },
  ),
}

/** One access as it is configured. */
export type AccessSettings = Resolved<typeof ACCESS_SETTINGS> & { readonly endpoint: string }

/** Permissions of an access's unix sockets. */
export function socketMode({ socketMode: mode }: Pick<AccessSettings, 'socketMode'>): number {
  return Number.parseInt(mode, 8)
}
