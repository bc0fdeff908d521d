// Programs that hold ports on behalf of something else. Their name alone sends people looking in the
// wrong place.

const NOTES: ReadonlyMap<string, string> = new Map([
  ['docker-proxy', 'published by Docker, see docker ps'],
  ['dockerd', 'published by Docker, see docker ps'],
  ['com.docker.backend', 'published by Docker Desktop, see docker ps'],
  ['rootlessport', 'published by a rootless container, see podman ps'],
  ['systemd', 'socket activation: the service manager holds it, see systemctl list-sockets'],
  ['launchd', 'socket activation: launchd holds it for a service'],
  ['ControlCe', 'AirPlay Receiver, can be turned off in the system settings'],
  ['ControlCenter', 'AirPlay Receiver, can be turned off in the system settings'],
  ['wslrelay.exe', 'a program inside WSL'],
  ['wslhost.exe', 'a program inside WSL'],
  ['System', 'http.sys, see netsh http show servicestate'],
])

/** What a process of this name is known for. */
export function noteOn(name: string): string | undefined {
  return NOTES.get(name)
}
