import {
  type AdminTlsFiles,
  EXIT,
  formatServerStatus,
  type Invocation,
  jsonLine,
  readServerStatus,
  UserError,
} from '@proj/program-kit'
import type { Resolved } from '@proj/config'
import { formatUrl } from '@proj/config/address'

import { readOperatorKey } from '../admin/operator-key.ts'
import { dataDirectory } from '../store/data-directory.ts'
import type { ServerTree } from '../settings.ts'
import type { OwnCommands } from './commands.ts'

/**
 * Shows the state of the server that runs here.
 *
 * @param flags.url - of its admin port; where the configuration has it when left out.
 */
export async function status(
  { loaded, json, around }: Invocation<ServerTree, OwnCommands>,
  { url, ...files }: AdminTlsFiles & { readonly url?: string | undefined },
): Promise<number> {
  const { admin, dataDir } = loaded.settings
  const uid = process.geteuid?.()
  const { path: directory } = dataDirectory(dataDir, { env: around.env, uid })
  // The key is for the server of this data directory alone.
  const token =
    admin.token?.reveal() ?? (url === undefined ? readOperatorKey(directory) : undefined)
  const found = await readServerStatus(url ?? adminUrl(admin), files, token)
  around.stdout.write(json ? jsonLine(found) : formatServerStatus(found))
  return EXIT.ok
}

function adminUrl({
  bindAddr,
  tls,
}: Pick<Resolved<ServerTree>['admin'], 'bindAddr' | 'tls'>): string {
  const tcp = bindAddr.find((address) => address.kind === 'tcp')
  if (tcp === undefined || tcp.port === 0) {
    throw new UserError('the configuration does not tell where the admin port is', {
      exitCode: EXIT.usage,
      hint: 'name it with --url http://HOST:PORT',
    })
  }
  return formatUrl(tls.cert.length > 0 ? 'https' : 'http', tcp.host, tcp.port)
}
