import type { OtherAgents } from '@proj/tunnel'

/** Says which other agents serve an endpoint, and what follows from that, as one sentence. */
export function formatOthers({ agents, hosts }: OtherAgents): string {
  const who = agents === 1 ? '1 other agent also serves' : `${agents} other agents also serve`
  const what = `${who} this name, from ${formatHosts(hosts)}: each gets a share of the visitors`
  return `${what} (--exclusive prevents this)`
}

function formatHosts(hosts: number): string {
  if (hosts === 0) return 'the same address'
  return hosts === 1 ? 'another address' : `${hosts} other addresses`
}
