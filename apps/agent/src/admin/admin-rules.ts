import { type ListenerSettings } from '@proj/program-kit'
import type { RuleProblem } from '@proj/config'
import { isLoopbackBind, formatListenAddress, type ListenAddress } from '@proj/config/address'

/** A rule: an admin port that everybody reaches shows everybody what is offered and brought. */
export function* publicAdminIsNoticed({
  bindAddr,
  allow,
}: Pick<ListenerSettings, 'allow'> & {
  readonly bindAddr: readonly ListenAddress[]
}): Generator<RuleProblem> {
  const reachable = bindAddr.find((address) => !isLoopbackBind(address))
  if (reachable === undefined || allow !== undefined) return
  yield {
    key: 'admin.bind_addr',
    message: `who reaches ${formatListenAddress(reachable)} sees endpoints and addresses of services`,
    hint: 'bind 127.0.0.1 or localhost, or name who may connect with admin.allow',
    severity: 'warning',
  }
}
