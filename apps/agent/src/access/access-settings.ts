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

/** Settings of an access beside its endpoint. */
export const ACCESS_SETTINGS = {
  bindAddr: setting(listenAddresses(), {
    required: true,
    description: 'Local address: 127.0.0.1:9901, localhost:0, unix:/path.',
  }),
  timeoutMs: setting(duration({ min: '10ms' }), {
    default: '15s',
    description: 'How long a new connection waits while the server cannot be reached.',
  }),
  ...LISTENER_SETTINGS,
  onConflict: setting(oneOf(['fail', 'wait', 'next', 'retry']), {
    default: 'fail',
    description:
      'When the address is taken: fail, wait until it is free, take the next free port, or retry ' +
      'without end while the others are served.',
  }),
  public: setting(boolean(), {
    default: 'false',
    description: 'Allow an address that other machines can reach; not needed with an allow list.',
  }),
  socketMode: setting(
    text({ pattern: /0?[0-7]{3}/, allowed: 'permissions in octal, such as 0660', name: 'mode' }),
    { default: '0600', description: 'Permissions of a unix socket.' },
  ),
}

/** One access as it is configured. */
export type AccessSettings = Resolved<typeof ACCESS_SETTINGS> & { readonly endpoint: string }

/** Permissions of an access's unix sockets. */
export function socketMode({ socketMode: mode }: Pick<AccessSettings, 'socketMode'>): number {
  return Number.parseInt(mode, 8)
}
