// fastify on a free port. Instead of get-port or detect-port, whose port another program can take before
// the server listens:
//   const port = await getPort({ port: 3000 }); await app.listen({ port })
import { findFree } from '@proj/portcheck'
import fastify from 'fastify'

const app = fastify()
app.get('/', () => 'hello from fastify')
await app.ready()

const claimed = await findFree({ host: '127.0.0.1', prefer: [3000] })
claimed.adopt(app.server)
console.log(`listening on http://127.0.0.1:${claimed.port}/`)
