// express on a free port. Instead of get-port or detect-port, whose port another program can take before
// the server listens:
//   const port = await getPort({ port: 3000 }); app.listen(port)
import { createServer } from 'node:http'
import { findFree } from '@proj/portcheck'
import express from 'express'

const app = express()
app.get('/', (_request, response) => response.send('hello from express'))

const claimed = await findFree({ host: '127.0.0.1', prefer: [3000] })
const server = createServer(app)
claimed.adopt(server)
console.log(`listening on http://127.0.0.1:${claimed.port}/`)
