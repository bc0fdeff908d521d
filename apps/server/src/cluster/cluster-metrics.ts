import type { Metric } from '@proj/program-kit'

import type { ClusterView } from './cluster-view.ts'

/**
 * The counts of a node and of what it knows of the others. The names of Piko's gossip are those of the
 * connections between nodes here, which carry requests too.
 */
export function clusterMetrics(cluster: ClusterView): readonly Metric[] {
  const { local, size } = cluster
  const links = cluster.links()
  const health = cluster.health()
  const states = { active: 1, unreachable: 0, left: 0 }
  if (local.isLeaving) [states.active, states.left] = [0, 1]
  const nodes = [...cluster.nodes()]
  for (const { id, isLeaving } of nodes) {
    states[isLeaving ? 'left' : cluster.isConnected(id) ? 'active' : 'unreachable'] += 1
  }
  return [
    {
      type: 'gauge',
      name: 'adit_node_info',
      help: 'Always 1; the labels say which node this is.',
      samples: [
        { labels: { node_id: local.id, boot: local.boot, version: local.version }, value: 1 },
      ],
    },
    {
      type: 'gauge',
      name: 'piko_cluster_nodes',
      help: 'Nodes of the cluster, this one included, by status.',
      samples: Object.entries(states).map(([status, value]) => ({ labels: { status }, value })),
    },
    {
      type: 'counter',
      name: 'piko_upstreams_remote_requests_total',
      help: 'Streams that were opened to agents of other nodes, by node.',
      samples: [...links.hopsOut].map(([nodeId, value]) => ({
        labels: { node_id: nodeId },
        value,
      })),
    },
    ...(health === undefined
      ? []
      : [
          gauge(
            'adit_cluster_database_up',
            '1 while the database answers.',
            health.isReachable ? 1 : 0,
          ),
          gauge(
            'adit_cluster_lag_seconds',
            'How old what this node knows of the others is.',
            health.lagMs / 1000,
          ),
          gauge(
            'adit_cluster_lease_age_seconds',
            'Time since this node has renewed its entry in the database.',
            health.leaseAgeMs / 1000,
          ),
          gauge('adit_cluster_table_endpoints', 'Endpoints that other nodes serve.', size),
          counter('adit_cluster_hops_in_total', 'Streams from other nodes.', links.hopsIn),
          counter(
            'adit_cluster_hops_refused_total',
            'Streams from other nodes whose endpoint has no agent here any more.',
            links.hopsRefused,
          ),
          ...gossipMetrics(cluster),
        ]),
  ]
}

/** What Piko's dashboard of its gossip reads. */
function gossipMetrics(cluster: ClusterView): readonly Metric[] {
  const links = cluster.links()
  return [
    counter(
      'piko_gossip_connections_inbound_total',
      'Connections from other nodes.',
      links.connectionsIn,
    ),
    counter(
      'piko_gossip_connections_outbound_total',
      'Connections to other nodes.',
      links.connectionsOut,
    ),
    counter('piko_gossip_stream_bytes_inbound_total', 'Bytes from other nodes.', links.bytesIn),
    counter('piko_gossip_stream_bytes_outbound_total', 'Bytes to other nodes.', links.bytesOut),
    counter('piko_gossip_packet_bytes_inbound_total', 'Always 0: nodes send no packets.', 0),
    counter('piko_gossip_packet_bytes_outbound_total', 'Always 0: nodes send no packets.', 0),
    {
      type: 'gauge',
      name: 'piko_gossip_entries',
      help: 'Endpoints that other nodes serve, by node.',
      samples: [...entriesByNode(cluster)].flatMap(([nodeId, value]) =>
        ['false', 'true'].map((deleted) => ({
          labels: { node_id: nodeId, deleted, internal: 'false' },
          value: deleted === 'false' ? value : 0,
        })),
      ),
    },
  ]
}

function entriesByNode(cluster: ClusterView): ReadonlyMap<string, number> {
  const counts = new Map<string, number>([...cluster.nodes()].map(({ id }) => [id, 0]))
  for (const [, routes] of cluster.entries()) {
    for (const { node } of routes) counts.set(node.id, (counts.get(node.id) ?? 0) + 1)
  }
  return counts
}

function gauge(name: string, help: string, value: number): Metric {
  return { type: 'gauge', name, help, samples: [{ value }] }
}

function counter(name: string, help: string, value: number): Metric {
  return { type: 'counter', name, help, samples: [{ value }] }
}
