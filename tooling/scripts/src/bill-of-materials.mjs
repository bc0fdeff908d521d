// @ts-check
// What an executable contains, as CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/): Node, and the packages
// that the bundler found in the bundle. The schema judges every bill before it is written.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { Ajv } from 'ajv'

/** @typedef {import('./bundle-program.mjs').BundledPackage} BundledPackage */

/**
 * Throws if the result is not valid.
 *
 * @param {object} program
 * @param {string} program.name - `adit` or `adit-server`
 * @param {string} program.version
 * @param {string | undefined} program.commit
 * @param {number} program.time - of the last change, seconds since 1970
 * @param {string} program.node - version of Node
 * @param {readonly BundledPackage[]} program.packages
 * @param {string} [program.distribution] - of the packages of the system: `debian`. Default: none are in it
 * @param {readonly { name: string, version: string, architecture: string }[]} [program.systemPackages] - in an image
 * @returns {string} JSON; the same program gives the same bytes
 */
export function billOfMaterials({
  name,
  version,
  commit,
  time,
  node,
  packages,
  distribution = '',
  systemPackages = [],
}) {
  const components = [
    {
      type: 'platform',
      'bom-ref': `pkg:generic/node@${node}`,
      name: 'node',
      version: node,
      licenses: [{ license: { id: 'MIT' } }],
      purl: `pkg:generic/node@${node}`,
    },
    ...packages.map((found) => {
      const purl = `pkg:npm/${found.name.replace('@', '%40')}@${found.version}`
      return {
        type: 'library',
        'bom-ref': purl,
        name: found.name,
        version: found.version,
        licenses: [{ expression: found.license }],
        purl,
      }
    }),
    ...systemPackages.map((found) => {
      // https://github.com/package-url/purl-spec: deb. Its licences are in the image, in usr/share/doc.
      const id = `${found.name.replaceAll('+', '%2B')}@${found.version.replaceAll('+', '%2B')}`
      const purl = `pkg:deb/${distribution}/${id}?arch=${found.architecture}`
      return { type: 'library', 'bom-ref': purl, name: found.name, version: found.version, purl }
    }),
  ]
  const ref = `pkg:generic/${name}@${version}`
  const bill = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify([name, version, commit, components]))}`,
    version: 1,
    metadata: {
      timestamp: new Date(time * 1000).toISOString(),
      component: {
        type: systemPackages.length === 0 ? 'application' : 'container',
        'bom-ref': ref,
        name,
        version,
        licenses: [{ license: { id: 'MIT' } }],
        ...(commit !== undefined && { properties: [{ name: 'commit', value: commit }] }),
      },
    },
    components,
    dependencies: [{ ref, dependsOn: components.map((component) => component['bom-ref']) }],
  }
  const faults = billFaults(bill)
  if (faults.length > 0) throw new Error(`bill of materials of ${name}: ${faults.join('; ')}`)
  return `${JSON.stringify(bill, null, 2)}\n`
}

/**
 * What the schema says against a bill.
 *
 * @param {unknown} bill
 * @returns {string[]}
 */
export function billFaults(bill) {
  validate ??= readSchema()
  if (validate(bill)) return []
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
}

/** @type {import('ajv').ValidateFunction | undefined} it takes a second to compile */
let validate

function readSchema() {
  const require = createRequire(import.meta.url)
  const library = dirname(require.resolve('@cyclonedx/cyclonedx-library/package.json'))
  const read = (/** @type {string} */ name) => {
    const file = join(library, `res/schema/${name}.SNAPSHOT.schema.json`)
    return JSON.parse(readFileSync(file, 'utf8'))
  }
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true })
  for (const name of ['spdx', 'jsf-0.82']) {
    ajv.addSchema(read(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`)
  }
  return ajv.compile(read('bom-1.6'))
}

/** @param {string} text - a UUID of version 8 may be made from anything (RFC 9562 section 5.8) */
function uuidOf(text) {
  const hex = createHash('sha256').update(text).digest('hex')
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-')
}
