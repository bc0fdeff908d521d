// undici through the proxy of the environment. Instead of its ProxyAgent or EnvHttpProxyAgent:
//   const dispatcher = new ProxyAgent(process.env.HTTPS_PROXY)
import { createDispatcher, proxyFromEnvironment } from '@proj/dialer'
import { Agent, request } from 'undici'

const dispatcher = createDispatcher({ proxy: proxyFromEnvironment(process.env) }, Agent)

for (const url of process.argv.slice(2)) {
  const { statusCode, body } = await request(url, { dispatcher })
  console.log(statusCode, await body.text())
}
await dispatcher.close()
