import type { TlsOptions } from '@proj/dialer'

import { FolderService } from './folder/folder-service.ts'
import { isFolder, type ListenerAddr } from './listener-addr.ts'
import { serviceTls } from './service-tls.ts'

/** What a listener needs of files before it can serve. */
export interface ServiceParts {
  /** How TLS to its services is made; undefined: none has it. */
  readonly tls: TlsOptions | undefined
  /** Its folders, by their path. */
  readonly folders: ReadonlyMap<string, FolderService>
}

/** Those of a service without TLS. */
export const NO_PARTS: ServiceParts = { tls: undefined, folders: new Map() }

type Settings = Parameters<typeof serviceTls>[0] & { readonly listing: boolean }

/**
 * Reads what the settings of a listener name.
 *
 * @throws {UserError} for a file that cannot be read, and a folder that is not there.
 */
export async function serviceParts(settings: Settings): Promise<ServiceParts> {
  const { addr, routes, listing } = settings
  const folders = new Map<string, FolderService>()
  const all: (ListenerAddr | undefined)[] = [addr, ...routes.map((route) => route.addr)]
  for (const one of all) {
    if (one !== undefined && isFolder(one)) {
      folders.set(one.folder, await FolderService.open(one.folder, listing))
    }
  }
  return { tls: await serviceTls(settings), folders }
}
