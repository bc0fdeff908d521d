/** What a listener publishes: a service at an address, or the files of a folder. */
import { existsSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'

import {
  ConfigError,
  isConfigError,
  type ParseContext,
  type ScalarType,
  serviceAddress,
} from '@proj/config'
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
        : parseService(text, context),
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

/** Reads an address; a text that is none, but the name of a folder, gets the hint how that is written. */
function parseService(text: string, context: ParseContext): ServiceAddress {
  try {
    return service.parse(text, context)
  } catch (error) {
    // With a slash behind it, it is there only as a folder.
    const isFolderThere = existsSync(`${resolve(context.baseDir, text)}/`)
    if (!isConfigError(error) || !isFolderThere) throw error
    const hint = `for the folder write ./${text}`
    throw new ConfigError(error.code, error.message, { hint, cause: error })
  }
}

function looksLikePath(text: string): boolean {
  return /^\.{1,2}(?:[/\\]|$)/.test(text) || isAbsolute(text)
}
