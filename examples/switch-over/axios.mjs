// axios through the proxy of the environment. Instead of https-proxy-agent or proxy-agent:
//   const agent = new HttpsProxyAgent(process.env.HTTPS_PROXY)
import { createAgent, proxyFromEnvironment } from '@proj/dialer'
import axios from 'axios'

const agent = createAgent({ proxy: proxyFromEnvironment(process.env) })

for (const url of process.argv.slice(2)) {
  // without `proxy: false` axios reads the variables itself, and sends https:// as plain requests
  const response = await axios.get(url, { httpAgent: agent, httpsAgent: agent, proxy: false })
  console.log(response.status, response.data)
}
agent.destroy()
