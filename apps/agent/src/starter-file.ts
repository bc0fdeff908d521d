/** What `adit config init` writes. */
export const STARTER = `# Configuration of adit. Every setting: adit config reference. Check: adit config check.

# connect:
#   url: https://tunnel.example.com   # adit login writes it, with the token
#   token_file: ./token

# listeners:
#   - endpoint: web                   # http://web.<the server's domain>
#     addr: localhost:3000
#   - endpoint: pg
#     protocol: tcp
#     addr: localhost:5432

# accesses:
#   - endpoint: printer
#     bind_addr: localhost:9100
`
