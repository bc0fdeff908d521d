import { addressBlock, integer, list, oneOf, setting, sourceAddress } from '@proj/config'

import { durationLimit, type Limit } from '../limits.ts'
import { CHALLENGES, DOMAIN_LIMITS } from '../store/domain-store.ts'

/** How often a proof is looked for again, and how long it may be missing. */
export const PROOF_LIMITS = {
  intervalMs: { default: 21_600_000, min: 60_000, max: 604_800_000 },
  graceMs: { default: 259_200_000, min: 0, max: 2_592_000_000 },
} as const satisfies Readonly<Record<string, Limit>>

/** Settings of domains that their owners prove. */
export const DOMAIN_PROOF_SETTINGS = {
  maxPerIdentity: setting(integer({ min: 0 }), {
    default: DOMAIN_LIMITS.maxPerIdentity,
    description: 'Most domains that one identity may ask for; 0: agents cannot ask for domains.',
  }),
  maxPerTenant: setting(integer({ min: 1 }), {
    default: DOMAIN_LIMITS.maxPerTenant,
    description: 'Most domains that the identities of one tenant may ask for together.',
  }),
  maxTotal: setting(integer({ min: 1 }), {
    default: DOMAIN_LIMITS.maxTotal,
    description: 'Most domains that may be asked for in total.',
  }),
  intervalMs: durationLimit(PROOF_LIMITS.intervalMs, {
    description: 'How often the proof of a proved domain is looked for again.',
  }),
  graceMs: durationLimit(PROOF_LIMITS.graceMs, {
    description:
      'How long the proof of a proved domain may be missing before the domain is switched off.',
  }),
  servers: setting(
    list({ ...sourceAddress(), allowed: 'an IP address such as 192.0.2.53 or [::1]:5353' }),
    {
      description:
        'DNS servers that are asked for TXT records and addresses of domains; default: those of the system.',
    },
  ),
  challenges: setting(list(oneOf(CHALLENGES)), {
    default: [...CHALLENGES],
    description:
      'How domains may be proved. txt: by a TXT record. http: by a file that the server fetches from the domain, at port 80 or 443.',
  }),
  privateAddresses: setting(list(addressBlock()), {
    default: [],
    description:
      'Addresses and blocks that such files may be fetched from although they are not of the Internet, for domains of a private network.',
  }),
}
