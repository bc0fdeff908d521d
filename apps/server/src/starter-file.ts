/** What `adit-server config init` writes. */
export const STARTER = `# Configuration of adit-server. Every setting: adit-server config reference. Check: adit-server config check.

# data_dir: /var/lib/adit             # tokens, names and the audit log

# proxy:                              # visitors
#   bind_addr: :8000
#   base_domain: tunnel.example.com   # endpoint web is web.tunnel.example.com

# upstream:                           # agents
#   bind_addr: :8001

# admin:                              # operators
#   bind_addr: localhost:8002

# public_ports:                       # TCP ports that agents may ask for
#   range: 9900-9999
`
