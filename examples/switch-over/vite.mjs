// A plug-in for vite: the first of these ports that no program has, in IPv4 or in IPv6. vite itself takes
// [::1]:5173 beside another program on 127.0.0.1:5173, and the browser shows the other one.
import { findFree } from '@proj/portcheck'
import { createServer } from 'vite'

export function freePort(...prefer) {
  return {
    name: 'free-port',
    async config() {
      // free on both families; vite opens the port itself, so the claim ends
      const claimed = await findFree({ host: '127.0.0.1', prefer })
      await claimed.close()
      return { server: { host: '127.0.0.1', port: claimed.port, strictPort: true } }
    },
  }
}

const server = await createServer({
  configFile: false,
  root: import.meta.dirname,
  logLevel: 'error',
  plugins: [freePort(5173, 5174)],
})
await server.listen()
console.log(`listening on http://127.0.0.1:${server.config.server.port}/`)
