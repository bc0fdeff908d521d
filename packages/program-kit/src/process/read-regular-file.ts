import { constants } from 'node:fs'
import { open } from 'node:fs/promises'

/**
 * Reads a whole file that has to be small.
 *
 * @param maxBytes - largest size.
 * @throws an error when it cannot be read, is no regular file, or is larger.
 */
export async function readRegularFile(file: string, maxBytes: number): Promise<Buffer> {
  // Without O_NONBLOCK, which Windows lacks, the open of a pipe waits for its writer.
  await using handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  // A pipe would be waited for, and can be read only once: a reload reads the file again.
  if (!(await handle.stat()).isFile()) throw new Error('it is no regular file')
  const buffer = Buffer.alloc(maxBytes + 1)
  let length = 0
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length)
    length += bytesRead
    if (length > maxBytes) throw new Error(`it has more than ${maxBytes} bytes`)
    if (bytesRead === 0) return buffer.subarray(0, length)
  }
}
