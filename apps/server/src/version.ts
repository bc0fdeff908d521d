import manifest from '../package.json' with { type: 'json' }

/** Program and version, as told to peers and people. */
export const SOFTWARE = `adit-server/${manifest.version}`
