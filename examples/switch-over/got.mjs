// got through the proxy of the environment. Instead of hpagent or tunnel:
//   const agent = { https: new HttpsProxyAgent({ proxy: process.env.HTTPS_PROXY }) }
import { createAgent, proxyFromEnvironment } from '@proj/dialer'
import { got } from 'got'

const agent = createAgent({ proxy: proxyFromEnvironment(process.env) })

for (const url of process.argv.slice(2)) {
  const response = await got(url, { agent: { http: agent, https: agent } })
  console.log(response.statusCode, response.body)
}
agent.destroy()
