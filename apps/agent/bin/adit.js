#!/usr/bin/env node
// Node opens all files that a module imports at once. One package after the other, in the order in which
// they depend on each other, needs half of the file descriptors.
await import('@proj/config')
await import('@proj/mux')
await import('@proj/http1')
await import('@proj/portcheck')
await import('@proj/dialer')
await import('@proj/auth')
await import('@proj/tunnel')
await import('@proj/program-kit')
await import('../dist/main.js')
