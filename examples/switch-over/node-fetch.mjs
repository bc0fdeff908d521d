// node-fetch through the proxy of the environment. Instead of https-proxy-agent:
//   const agent = new HttpsProxyAgent(process.env.HTTPS_PROXY)
import { createAgent, proxyFromEnvironment } from '@proj/dialer'
import fetch from 'node-fetch'

const agent = createAgent({ proxy: proxyFromEnvironment(process.env) })

for (const url of process.argv.slice(2)) {
  const response = await fetch(url, { agent })
  console.log(response.status, await response.text())
}
agent.destroy()
