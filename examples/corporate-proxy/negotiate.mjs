// Kerberos at a proxy: a plug-in for the scheme Negotiate, with the package kerberos.
import { dial } from '@proj/dialer'
import { initializeClient } from 'kerberos'

const clients = new WeakMap()
const proxyAuthorize = async ({ proxyHost, schemes, challenges, exchange }) => {
  if (!schemes.includes('negotiate')) return undefined
  const client = clients.get(exchange) ?? (await initializeClient(`HTTP@${proxyHost}`))
  clients.set(exchange, client)
  const token = challenges.map((line) => /^Negotiate (\S+)/i.exec(line)?.[1]).find(Boolean)
  return `Negotiate ${await client.step(token ?? '')}`
}
await dial(
  { host: 'server.example', port: 443 },
  { proxy: 'http://proxy.corp:3128', proxyAuthorize },
)
