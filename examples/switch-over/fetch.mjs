// The fetch of Node through the proxy of the environment. Instead of setGlobalDispatcher of undici:
//   setGlobalDispatcher(new ProxyAgent(process.env.HTTPS_PROXY))
import { createDispatcher, proxyFromEnvironment } from '@proj/dialer'

const dispatcher = createDispatcher({ proxy: proxyFromEnvironment(process.env) })

for (const url of process.argv.slice(2)) {
  const response = await fetch(url, { dispatcher })
  console.log(response.status, await response.text())
}
await dispatcher.close()
