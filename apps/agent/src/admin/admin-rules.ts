import { type ListenerSettings } from '@proj/program-kit'
import type { RuleProblem } from '@proj/config'
import { isLoopbackBind, formatListenAddress, type ListenAddress } from '@proj/config/address'

/** A rule: warns of an admin port that every machine can read. */
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
    message: `every machine that reaches ${formatListenAddress(reachable)} can read endpoints and addresses of services`,
    hint: 'bind 127.0.0.1 or localhost, or list the clients in admin.allow',
    severity: 'warning',
  }
}
