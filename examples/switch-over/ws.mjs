// A WebSocket of ws through the proxy of the environment. Instead of https-proxy-agent:
//   const websocket = new WebSocket(url, { agent: new HttpsProxyAgent(process.env.HTTPS_PROXY) })
// (`dialWebSocket` of @proj/dialer gives the same WebSocket, with an error that says what failed.)
import { once } from 'node:events'
import { createAgent, proxyFromEnvironment } from '@proj/dialer'
import { WebSocket } from 'ws'

const agent = createAgent({ proxy: proxyFromEnvironment(process.env) })

for (const url of process.argv.slice(2)) {
  const websocket = new WebSocket(url.replace(/^http/, 'ws'), { agent })
  const [message] = await once(websocket, 'message')
  console.log(101, message.toString())
  websocket.terminate()
}
agent.destroy()
