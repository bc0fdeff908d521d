import { expect, test } from 'vitest'

import { publicSuffixProblem } from '../../src/domains/public-suffix.ts'

test('a public suffix and the wildcard below it have no owner, the names below do', async () => {
  const shared = [
    'co.uk',
    '*.co.uk',
    'github.io',
    '*.github.io',
    '*.kawasaki.jp',
    'a.kawasaki.jp',
    'xn--55qx5d.cn', // 公司.cn
    's3.eu-central-1.amazonaws.com',
  ]
  const owned = [
    'example.co.uk',
    '*.example.co.uk',
    'me.github.io',
    '*.me.github.io',
    'city.kawasaki.jp',
    'a.xn--55qx5d.cn',
    'shop.example.com',
    'nas.home.arpa',
    'shop.internal',
  ]
  for (const domain of shared) {
    expect.soft([domain, await publicSuffixProblem(domain)]).toEqual([domain, expect.anything()])
  }
  for (const domain of owned) {
    expect.soft([domain, await publicSuffixProblem(domain)]).toEqual([domain, undefined])
  }
})
