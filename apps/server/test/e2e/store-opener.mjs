// Opens the database of its first argument as another process, and notes that it did.
import { Database } from '../../src/store/database.ts'
import { MIGRATIONS } from '../../src/store/migrations.ts'

const database = Database.open(process.argv[2] ?? '', { migrations: MIGRATIONS })
database.run('INSERT INTO facts (name, value) VALUES (?, 1)', `opener ${process.pid}`)
database.close()
