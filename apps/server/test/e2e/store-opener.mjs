// Opens the database of its first argument as another process, and notes that it did.
import { Database } from '../../dist/store/database.js'
import { MIGRATIONS } from '../../dist/store/migrations.js'

const database = Database.open(process.argv[2] ?? '', { migrations: MIGRATIONS })
database.run('INSERT INTO facts (name, value) VALUES (?, 1)', `opener ${process.pid}`)
database.close()
