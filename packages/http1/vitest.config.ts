import { preset } from '@proj/vitest-config'

export default preset({ sharesModules: true })
