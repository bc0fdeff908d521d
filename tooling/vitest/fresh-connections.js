// Runs in the test files whose programs end and start again: each fetch has a connection of its own. One that is
// kept alive may be closed by its server just when it is used again, and then fails without a defect.
const { fetch } = globalThis

globalThis.fetch = async (input, init) => {
  const headers = new Headers(init?.headers)
  headers.set('connection', 'close')
  return await fetch(input, { ...init, headers })
}
