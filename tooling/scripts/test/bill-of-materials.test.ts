import { expect, test } from 'vitest'
import { billFaults, billOfMaterials } from '../src/bill-of-materials.mjs'

const PROGRAM = {
  name: 'adit',
  version: '1.2.3',
  commit: '0a'.repeat(20),
  time: 1_790_000_000,
  node: '26.10.0',
  packages: [
    { name: 'pino', version: '9.0.0', license: 'MIT' },
    { name: '@scope/one', version: '1.0.0-rc.1', license: '(MIT OR Apache-2.0)' },
  ],
}

test('a bill names Node and every package, and is the same each time', () => {
  const text = billOfMaterials(PROGRAM)
  expect(billOfMaterials(PROGRAM)).toBe(text)
  const bill = JSON.parse(text)
  expect(bill.components.map(({ purl }: { purl: string }) => purl)).toEqual([
    'pkg:generic/node@26.10.0',
    'pkg:npm/pino@9.0.0',
    'pkg:npm/%40scope/one@1.0.0-rc.1',
  ])
  expect(bill.metadata.timestamp).toBe('2026-09-21T14:13:20.000Z')
  const other = JSON.parse(billOfMaterials({ ...PROGRAM, version: '1.2.4' }))
  expect(other.serialNumber).not.toBe(bill.serialNumber)
})

test('the bill of an image names the packages of the system', () => {
  const systemPackages = [
    { name: 'libstdc++6', version: '12.2.0-14+deb12u1', architecture: 'arm64' },
  ]
  const text = billOfMaterials({ ...PROGRAM, distribution: 'debian', systemPackages })
  const bill = JSON.parse(text)
  expect(bill.metadata.component.type).toBe('container')
  expect(bill.components.at(-1)).toMatchObject({
    name: 'libstdc++6',
    purl: 'pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=arm64',
  })
})

test('the schema finds what is wrong', () => {
  const bill = JSON.parse(billOfMaterials(PROGRAM))
  expect(billFaults(bill)).toEqual([])
  expect(billFaults({ ...bill, serialNumber: 'one' })).toHaveLength(1)
  expect(billFaults({ ...bill, components: [{ type: 'thing', name: 'x' }] })).not.toEqual([])
  expect(billFaults({ ...bill, components: [bill.components[0], bill.components[0]] })).not.toEqual(
    [],
  )
})
