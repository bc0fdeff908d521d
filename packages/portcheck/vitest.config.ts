import { preset } from '@proj/vitest-config'

// Many tests start another program to hold a port, which takes seconds on a loaded machine.
export default preset()
