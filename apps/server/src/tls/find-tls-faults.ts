import type { RuleProblem } from '@proj/config'

import { readTlsMaterial } from './tls-material.ts'
import { TLS_PORTS, type TlsPortSettings } from './tls-settings.ts'

/** Looks for mistakes in the files that settings name, for `config check` and the start. */
export async function findTlsFaults(settings: TlsPortSettings): Promise<readonly RuleProblem[]> {
  const found: RuleProblem[] = []
  for (const name of TLS_PORTS) {
    const { tls } = settings[name]
    if (tls.cert.length === 0) continue
    const material = await readTlsMaterial(tls)
    if (!Array.isArray(material)) continue
    for (const { setting, code, message, hint } of material) {
      found.push({ key: `${name}.tls.${setting}`, code, message, hint })
    }
  }
  return found
}
