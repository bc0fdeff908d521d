import type { OtherAgents } from '@proj/tunnel'

/** Says which other agents serve an endpoint, and what follows from that, as one sentence. */
export function formatOthers({ agents, hosts }: OtherAgents): string {
  const who = agents === 1 ? '1 other agent serves' : `${agents} other agents serve`
  const what = `${who} this name too, from ${formatHosts(hosts)}: visitors take turns among them`
  return `${what} (--exclusive prevents that)`
}

function formatHosts(hosts: number): string {
  if (hosts === 0) return 'the same address'
  return hosts === 1 ? 'another address' : `${hosts} other addresses`
}
