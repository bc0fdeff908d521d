/** What a listener publishes: a service at an address, or the files of a folder. */
import { isAbsolute, resolve } from 'node:path'

import { type ScalarType, serviceAddress } from '@proj/config'
import { formatServiceAddress, type ServiceAddress } from '@proj/config/address'

/** A folder whose files are served. */
export interface FolderAddress {
  /** Absolute path. */
  readonly folder: string
  /** Never: it is no service. */
  readonly tls: false
}

/** Value of `addr`. */
export type ListenerAddr = ServiceAddress | FolderAddress

const service = serviceAddress()

/** The type of `addr`: what begins like a path is a folder. */
export function listenerAddr(): ScalarType<ListenerAddr> {
  return {
    ...service,
    allowed: `${service.allowed}; or a folder: ./site, /srv/site`,
    completes: 'file',
    parse: (text, context) =>
      looksLikePath(text)
        ? { folder: resolve(context.baseDir, text), tls: false }
        : service.parse(text, context),
    format: formatListenerAddr,
  }
}

/** Whether the address is that of a folder. */
export function isFolder(addr: ListenerAddr): addr is FolderAddress {
  return 'folder' in addr
}

/** Writes an address as the settings read it. */
export function formatListenerAddr(addr: ListenerAddr): string {
  return isFolder(addr) ? addr.folder : formatServiceAddress(addr)
}

function looksLikePath(text: string): boolean {
  return /^\.{1,2}(?:[/\\]|$)/.test(text) || isAbsolute(text)
}
