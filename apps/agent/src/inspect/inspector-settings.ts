/** Settings of the inspector. */
import { integer, list, listenAddresses, setting, type Setting, size, text } from '@proj/config'
import type { ListenAddress } from '@proj/config/address'

/** The group `inspector`. */
export const INSPECTOR_SETTINGS: {
  readonly bindAddr: Setting<readonly ListenAddress[]>
  readonly hosts: Setting<readonly string[]>
  readonly keep: Setting<number>
  readonly bodyBytes: Setting<number>
  readonly maxBytes: Setting<number>
  readonly maxPerSecond: Setting<number>
  readonly secrets: Setting<readonly string[]>
} = {
  bindAddr: setting(listenAddresses(), {
    default: ['localhost:4040'],
    description: 'Address of the page; when the port is taken, the next free one.',
  }),
  hosts: setting(list(text(), { maxItems: 16 }), {
    default: [],
    description: 'Host names under which a proxy of yours shows the page, besides localhost.',
  }),
  keep: setting(integer({ min: 0, max: 10_000 }), {
    default: 500,
    description: 'Exchanges that are kept, in memory; 0: none while no page is open.',
  }),
  bodyBytes: setting(size({ max: '1MiB' }), {
    default: '64KiB',
    description: 'First bytes of each body that are kept.',
  }),
  maxBytes: setting(size({ min: '1MiB', max: '1GiB' }), {
    default: '64MiB',
    description: 'Bytes that all kept exchanges may have.',
  }),
  maxPerSecond: setting(integer({ min: 1, max: 100_000 }), {
    default: 200,
    description:
      'Exchanges that are captured in a second; those beyond it are counted and not kept.',
  }),
  secrets: setting(list(text(), { maxItems: 100 }), {
    default: [],
    description: 'Names of headers and of keys in queries that are hidden besides the usual ones.',
  }),
}
