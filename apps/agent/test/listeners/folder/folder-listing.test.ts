import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, test } from 'vitest'

import { folderListing } from '../../../src/listeners/folder/folder-listing.ts'

test('the page says that a folder has more entries than are listed, and only then', async () => {
  using folder = temporaryDirectory()
  for (const name of ['a', 'b', '.hidden']) folder.write(name, '')
  const whole = await folderListing(folder.path, '', 2)
  expect(whole.match(/<li>/g)).toHaveLength(2)
  expect(whole).not.toContain('Only')
  const cut = await folderListing(folder.path, '', 1)
  expect(cut.match(/<li>/g)).toHaveLength(1)
  expect(cut).toContain('<p>Only 1 entries are listed. The folder has more.</p>')
})
