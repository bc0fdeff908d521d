// Reserves names as fast as the disk takes them, and says each one that is acknowledged. It never
// ends by itself: whoever started it kills it. The parts of a store one by one, because they start
// much faster than the whole program.
import { writeSync } from 'node:fs'
import { Database } from '../../src/store/database.ts'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import { SqliteAuditLog } from '../../src/store/sqlite-audit-log.ts'
import { SqliteReservationStore } from '../../src/store/sqlite-reservation-store.ts'

const [file = '', prefix = ''] = process.argv.slice(2)
const database = Database.open(file, { migrations: MIGRATIONS })
const reservations = new SqliteReservationStore(database)
const audit = new SqliteAuditLog(database)
const name = { tenant: '', kind: /** @type {const} */ ('http'), port: undefined, reservedAt: 1 }
for (let count = 0; ; count++) {
  const endpoint = `${prefix}-${count}`
  const outcome = await reservations.reserve({ ...name, identity: endpoint, endpoint })
  if (!outcome.ok) throw new Error(outcome.code)
  audit.write('name.reserved', { endpoint })
  if (count % 7 === 0) audit.flushNow()
  writeSync(1, `${endpoint}\n`)
}
