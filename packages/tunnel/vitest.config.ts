import { fileURLToPath } from 'node:url'

import { preset } from '@proj/vitest-config'
import { mergeConfig } from 'vitest/config'

export default mergeConfig(preset({ poisonsFreeMemory: true }), {
  test: { setupFiles: [fileURLToPath(new URL('test/poison.ts', import.meta.url))] },
})
