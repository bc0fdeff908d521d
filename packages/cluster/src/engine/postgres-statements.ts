// The texts of the transactions of a PostgresEngine. Each goes out in one piece, so that it costs one round trip;
// a statement that may not run unless an earlier one did asks for it with a fence.
import type { ClusterNode } from '../model.ts'
import { type JoinRequest, MAX_EPOCH, type SweepRequest, type WriteBatch } from './engine.ts'
import type { SqlRunner } from './postgres-connection.ts'

/** The time as an epoch: microseconds. */
const CLOCK_EPOCH = '(extract(epoch from clock_timestamp()) * 1000000)::bigint'

/** Whether the lease of a node is not over; one that is longer than it can be says that the clock was set back. */
function livingBy(leaseMs: number): string {
  return `(o.lease_until > clock_timestamp()
    and o.lease_until <= clock_timestamp() + interval '${leaseMs} milliseconds')`
}

/** What makes the row of a node. Its last statements: the row before, a deletion, the row after, the digest. */
export function joinText({ node, head, leaseMs, replaces }: JoinRequest, sql: SqlRunner): string {
  const id = sql.literal(node.id)
  const boot = sql.literal(node.boot)
  const mayReplace =
    replaces === undefined
      ? 'true'
      : `(not ${livingBy(leaseMs)} or o.boot = ${sql.literal(replaces)})`
  const isKept = `o.boot = ${boot} and o.head >= ${head} and not o.has_left`
  return `
    select boot, beat from adit_cluster_node where id = ${id} for update;
    delete from adit_cluster_route r where r.node = ${id} and not exists (
      select from adit_cluster_node o where o.id = ${id} and (o.boot = ${boot} or not ${mayReplace}));
    insert into adit_cluster_node as o (id, boot, address, fingerprint, version, is_leaving, sessions, streams,
        beat, lease_until, head, floor, is_settled, has_left)
      values (${id}, ${boot}, ${sql.literal(node.address)}, ${sql.literal(node.fingerprint)},
        ${sql.literal(node.version)}, ${node.isLeaving}, ${node.load.sessions}, ${node.load.streams},
        0, clock_timestamp(), ${head}, ${head}, false, false)
      on conflict (id) do update set
        boot = excluded.boot,
        address = excluded.address,
        fingerprint = excluded.fingerprint,
        version = excluded.version,
        beat = case when o.boot = ${boot} then o.beat else 0 end,
        lease_until = case when o.boot = ${boot} then o.lease_until else clock_timestamp() end,
        head = case when o.boot = ${boot} then greatest(o.head, ${head}) else ${head} end,
        floor = case when ${isKept} then o.floor when o.boot = ${boot} then greatest(o.head, ${head}) else ${head} end,
        is_settled = case when ${isKept} then o.is_settled else false end,
        has_left = false
      where o.boot = ${boot} or ${mayReplace}
      returning head;
    select count(*) as count, coalesce(sum(r.version), 0) as versions
      from adit_cluster_route r
      join adit_cluster_name n on n.tenant = r.tenant and n.name = r.name and n.identity = r.identity
        and n.epoch = r.epoch
     where r.node = ${id} and not r.is_gone`
}

/**
 * What stores routes with their names. Statements by number, behind the three that begin the transaction: 3 the
 * row of the node before, 4 its change, with puts: 5 the names that are missing, 6 their locks, 7 the answers;
 * then the removals. The last one gives the version.
 *
 * Names are locked in their order, so that two nodes cannot wait for each other. The statement that decides comes
 * after the one that locks: it sees what the other node has committed meanwhile.
 */
export function writeText(batch: WriteBatch, token: string, sql: SqlRunner): string {
  const { node, head, leaseMs, puts, removes, removeUpTo, isSettled, alive, epochFloor } = batch
  const id = sql.literal(node.id)
  const mark = sql.literal(token)
  const fence = `exists (select from adit_cluster_node where id = ${id} and batch = ${mark})`
  const afterPuts = head + puts.length
  const afterRemoves = afterPuts + removes.length
  const lines = [
    `select lease_until <= clock_timestamp() as was_lapsed from adit_cluster_node where id = ${id} for update`,
    `update adit_cluster_node set
       address = ${sql.literal(node.address)}, fingerprint = ${sql.literal(node.fingerprint)},
       version = ${sql.literal(node.version)}, is_leaving = ${node.isLeaving},
       sessions = ${node.load.sessions}, streams = ${node.load.streams},
       beat = ${batch.beat}, lease_until = clock_timestamp() + interval '${leaseMs} milliseconds',
       head = ${afterRemoves}, is_settled = is_settled or ${isSettled}, has_left = false, batch = ${mark}
     where id = ${id} and boot = ${sql.literal(node.boot)} and head = ${head}`,
  ]
  if (puts.length > 0) {
    const rows = puts.map(({ endpoint, epoch, isReserved, facts }, i) => {
      const { isDown, ...columns } = facts
      return { i, ...endpoint, epoch, is_reserved: isReserved, ...columns, is_down: isDown }
    })
    const put = `json_to_recordset(${sql.literal(JSON.stringify(rows))}) as p (i integer, tenant text,
      name text, epoch bigint, is_reserved boolean, identity text, kind text, sessions integer, exclusive boolean,
      peer text, reuse text, strictness text, rules text, limits text,
      agents text, is_down boolean)`
    const living = [...alive, ''].map((one) => sql.literal(one)).join(', ')
    const others = `adit_cluster_route r join adit_cluster_node o on o.id = r.node
       where r.tenant = p.tenant and r.name = p.name and r.node <> ${id} and not r.is_gone and r.epoch = n.epoch
         and (${livingBy(leaseMs)} or o.id in (${living}))`
    lines.push(
      `insert into adit_cluster_name (tenant, name, identity, epoch, since)
         select tenant, name, identity,
           case when epoch > 0 then epoch else greatest(${CLOCK_EPOCH}, ${epochFloor + 1}) end, clock_timestamp()
         from ${put} where ${fence} order by tenant, name
         on conflict (tenant, name) do nothing`,
      `select from ${put} join adit_cluster_name n on n.tenant = p.tenant and n.name = p.name
        where ${fence} order by n.tenant, n.name for update of n`,
      `with d as materialized (
         select p.*, n.identity as holder, n.since,
           case when n.epoch between 1 and ${MAX_EPOCH} then n.epoch else 0 end as held,
           exists (select from ${others}) as is_served,
           exists (select from ${others} and (r.exclusive or p.exclusive) and r.peer is distinct from p.peer)
             as has_rival
         from ${put} join adit_cluster_name n on n.tenant = p.tenant and n.name = p.name
         where ${fence}
       ), g as materialized (
         select d.*,
           case when holder = identity then not has_rival else epoch > held or is_reserved or not is_served end
             as is_granted,
           case when (holder = identity or epoch > held) and greatest(held, epoch) > 0 then greatest(held, epoch)
             else greatest(${CLOCK_EPOCH}, held + 1, ${epochFloor + 1}) end as fresh
         from d
       ), taken as (
         update adit_cluster_name n set identity = g.identity, epoch = g.fresh,
             since = case when n.identity = g.identity then n.since else clock_timestamp() end
           from g where g.is_granted and n.tenant = g.tenant and n.name = g.name
             and (n.identity <> g.identity or n.epoch <> g.fresh)
       ), stored as (
         insert into adit_cluster_route (node, tenant, name, version, is_gone, epoch, identity, kind, sessions,
             exclusive, peer, reuse, strictness, rules, limits, agents, is_down, changed_at)
           select ${id}, tenant, name, ${head + 1} + i, false, fresh, identity, kind, sessions, exclusive, peer,
             reuse, strictness, rules, limits, agents, is_down, clock_timestamp() from g where is_granted
           on conflict (node, tenant, name) do update set version = excluded.version, is_gone = false,
             epoch = excluded.epoch, identity = excluded.identity, kind = excluded.kind,
             sessions = excluded.sessions, exclusive = excluded.exclusive, peer = excluded.peer,
             reuse = excluded.reuse, strictness = excluded.strictness, rules = excluded.rules,
             limits = excluded.limits, agents = excluded.agents, is_down = excluded.is_down, changed_at = excluded.changed_at
       )
       select i, is_granted, fresh, holder, holder = identity as is_exclusive,
         extract(epoch from since) * 1000 as since_ms from g`,
    )
  }
  const gone = `is_gone = true, epoch = 0, identity = null, peer = null, rules = null, limits = null, agents = null,
    changed_at = clock_timestamp()`
  if (removes.length > 0) {
    const rows = removes.map((endpoint, i) => ({ i, ...endpoint }))
    lines.push(
      `update adit_cluster_route r set ${gone}, version = ${afterPuts + 1} + p.i
         from json_to_recordset(${sql.literal(JSON.stringify(rows))}) as p (i integer, tenant text, name text)
        where r.node = ${id} and r.tenant = p.tenant and r.name = p.name and ${fence}`,
    )
  }
  if (removeUpTo > 0) {
    lines.push(
      `with left_over as materialized (
         select tenant, name, row_number() over (order by version) as k from adit_cluster_route
          where node = ${id} and not is_gone and version <= ${removeUpTo} and ${fence})
       update adit_cluster_route r set ${gone}, version = ${afterRemoves} + l.k
         from left_over l where r.node = ${id} and r.tenant = l.tenant and r.name = l.name`,
      `update adit_cluster_node set head = greatest(head,
           (select max(version) from adit_cluster_route where node = ${id}))
        where id = ${id} and batch = ${mark}`,
    )
  }
  lines.push(`select head from adit_cluster_node where id = ${id} and batch = ${mark}`)
  return lines.join(';\n')
}

/** What lets a node leave. */
export function leaveText({ id, boot }: ClusterNode, sql: SqlRunner): string {
  const own = `id = ${sql.literal(id)} and boot = ${sql.literal(boot)}`
  return `
    update adit_cluster_node set has_left = true, is_settled = false, lease_until = clock_timestamp(),
      floor = head where ${own};
    delete from adit_cluster_route where node in (select id from adit_cluster_node where ${own} and has_left)`
}

/** What deletes rows of no use. */
export function sweepText(
  { node, removalsMs, forgetMs, limit }: SweepRequest,
  sql: SqlRunner,
): string {
  const id = sql.literal(node.id)
  const forgotten = `clock_timestamp() - interval '${forgetMs} milliseconds'`
  const dead = `id <> ${id} and lease_until < ${forgotten}`
  return `
    with removed as (
      delete from adit_cluster_route where node = ${id} and (tenant, name) in (
        select tenant, name from adit_cluster_route where node = ${id} and is_gone
          and changed_at < clock_timestamp() - interval '${removalsMs} milliseconds' limit ${limit})
      returning version)
    update adit_cluster_node set floor = greatest(floor, (select max(version) from removed))
      where id = ${id} and boot = ${sql.literal(node.boot)} and exists (select from removed);
    delete from adit_cluster_route where node in (select id from adit_cluster_node where ${dead});
    delete from adit_cluster_node where ${dead};
    delete from adit_cluster_name where ctid in (
      select n.ctid from adit_cluster_name n where since < ${forgotten} and not exists (
        select from adit_cluster_route r where r.tenant = n.tenant and r.name = n.name and not r.is_gone)
      limit ${limit} for update skip locked)`
}
