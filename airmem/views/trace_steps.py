"""The steps to record a component where airmem cannot do it by itself: systemd, Docker, Compose, Kubernetes."""

from __future__ import annotations

from airmem.views.document import Document, Paragraph

PLACES = ("systemd", "docker", "compose", "kubernetes")

SYSTEMD = """\
# Names are those of a unit airflow-{component}.service whose Airflow is in /opt/airflow/venv; put your own.
# 1. Once: airmem and memray beside Airflow, in the same environment.
/opt/airflow/venv/bin/python -m pip install airmem memray

# 2. A drop-in that starts the component under airmem. The empty ExecStart= drops the unit's own.
sudo mkdir -p /etc/systemd/system/airflow-{component}.service.d
sudo tee /etc/systemd/system/airflow-{component}.service.d/airmem.conf <<'END'
[Service]
ExecStart=
ExecStart=/opt/airflow/venv/bin/airmem trace {component} --yes --no-analyze -o /var/lib/airmem
Environment=PATH=/opt/airflow/venv/bin:/usr/bin:/bin
StateDirectory=airmem
KillMode=mixed
TimeoutStopSec=120
END
sudo systemctl daemon-reload && sudo systemctl restart airflow-{component}

# 3. Let it work. While it does: how large the captures are.
sudo /opt/airflow/venv/bin/airmem trace --list -o /var/lib/airmem

# 4. End the recording: stop the unit in order, so that memray can close its files. Then back to normal.
sudo systemctl stop airflow-{component}
sudo rm /etc/systemd/system/airflow-{component}.service.d/airmem.conf
sudo systemctl daemon-reload && sudo systemctl start airflow-{component}

# 5. Fetch and read. On a desk: the same memray version, see airmem analyze.
sudo tar -C /var/lib/airmem -czf /tmp/{component}-traces.tgz .
scp HOST:/tmp/{component}-traces.tgz . && tar xzf {component}-traces.tgz
airmem analyze {component}-*/*.bin*

# Or without a restart, for a minute (needs gdb; one or two seconds' pause at either end):
# As root, since Yama forbids it to the service's own user on many distributions; the capture becomes that user's.
sudo /opt/airflow/venv/bin/airmem trace --attach {component} --duration 60 -o /var/tmp/airmem-trace
"""

DOCKER = """\
# 1. An image with airmem and memray beside Airflow. Airflow's own image runs as uid 50000; keep it so.
cat > Dockerfile <<'END'
FROM apache/airflow:YOUR-VERSION
RUN pip install --no-cache-dir airmem memray
END
docker build -t airflow-traced .

# 2. Run the component under airmem, with a volume that outlives the container: its own files go with it.
#    The image's entry point takes every first word but bash and python for a command of airflow.
#    First stop the container that runs it now: two would share one database, and from here airmem does not see it.
docker stop YOUR-{component}
docker volume create airmem-traces
docker run --rm -v airmem-traces:/traces --user 0 --entrypoint chmod airflow-traced 1777 /traces
docker run -d --name {component}-traced -v airmem-traces:/traces --stop-timeout 120 YOUR-OTHER-OPTIONS \\
  airflow-traced bash -c 'exec airmem trace {component} --yes --no-analyze -o /traces/airmem'

# 3. Let it work, then end it in order: docker kill would leave the captures unfinished. Then back to normal.
docker stop {component}-traced
docker start YOUR-{component}

# 4. Fetch and read.
docker cp {component}-traced:/traces/airmem ./traces
airmem analyze ./traces/{component}-*/*.bin*
docker rm {component}-traced && docker volume rm airmem-traces

# Or in a container that runs, for a minute. Its image needs airmem, memray and gdb. Where the host's Yama forbids it
# (airmem says so), the container must have been started with --cap-add SYS_PTRACE, and it is docker exec -u 0:
docker exec -u 0 CONTAINER sh -c 'apt-get update && apt-get install -y gdb'
docker exec CONTAINER airmem trace --attach {component} --duration 60 --yes --no-analyze -o /tmp/airmem
docker cp CONTAINER:/tmp/airmem ./traces
"""

COMPOSE = """\
# 1. docker-compose.traced.yaml, beside your own file: what it says is merged into the service airflow-{component}.
cat > docker-compose.traced.yaml <<'END'
services:
  airflow-{component}:
    image: airflow-traced
    build:
      dockerfile_inline: |
        FROM apache/airflow:YOUR-VERSION
        RUN pip install --no-cache-dir airmem memray
    command: bash -c 'exec airmem trace {component} --yes --no-analyze -o /traces/airmem'
    volumes: [airmem-traces:/traces]
    stop_grace_period: 2m
volumes:
  airmem-traces:
END
docker compose -f docker-compose.yaml -f docker-compose.traced.yaml build airflow-{component}
docker compose -f docker-compose.yaml -f docker-compose.traced.yaml run --rm --no-deps --user 0 \\
  --entrypoint chmod airflow-{component} 1777 /traces
docker compose -f docker-compose.yaml -f docker-compose.traced.yaml up -d --no-deps airflow-{component}

# 2. Let it work, then end it in order.
docker compose -f docker-compose.yaml -f docker-compose.traced.yaml stop airflow-{component}

# 3. Fetch and read.
docker compose -f docker-compose.yaml -f docker-compose.traced.yaml cp airflow-{component}:/traces/airmem ./traces
airmem analyze ./traces/{component}-*/*.bin*

# 4. Back to normal.
docker compose -f docker-compose.yaml up -d --no-deps airflow-{component}
"""

KUBERNETES = """\
# For the names of Airflow's chart: a container {component} in a Deployment, or in a StatefulSet where it has a volume
# (the triggerer, and a scheduler with LocalExecutor). This must find one of them in the current namespace:
WHAT=$(kubectl get deployment,statefulset -o name | grep -- '-{component}$'); echo "$WHAT"

# 1. An image with airmem and memray beside Airflow (FROM your image, RUN pip install airmem memray), pushed as IMAGE.
# 2. One replica under airmem. An emptyDir outlives a restart of the container, not of the pod.
kubectl patch "$WHAT" --type=strategic -p '
spec:
  replicas: 1
  template:
    spec:
      terminationGracePeriodSeconds: 120
      containers:
        - name: {component}
          image: IMAGE
          args: [bash, -c, exec airmem trace {component} --yes --no-analyze -o /traces/airmem]
          volumeMounts: [{{name: airmem-traces, mountPath: /traces}}]
      volumes:
        - name: airmem-traces
          emptyDir: {{sizeLimit: 4Gi}}
'
kubectl rollout status "$WHAT"

# 3. Let it work. End the recording in order: the container restarts in the same pod, and the volume stays.
POD=$(kubectl get pods -l component={component} -o name | head -1)
kubectl exec $POD -c {component} -- bash -c 'kill -TERM 1'

# 4. Fetch (needs tar in the image) and read. Take the folder that has ended, not that of the new start.
kubectl exec $POD -c {component} -- airmem trace --list -o /traces/airmem
kubectl cp -c {component} ${{POD#pod/}}:/traces/airmem ./traces
airmem analyze ./traces/FOLDER/*.bin*

# 5. Back to normal.
kubectl rollout undo "$WHAT"

# Or in a pod that runs, for a minute. Its image needs airmem, memray and gdb. It runs as the container's own user,
# which the node's Yama may forbid (airmem says so):
kubectl exec $POD -c {component} -- airmem trace --attach {component} --duration 60 --yes --no-analyze -o /tmp/airmem
kubectl cp -c {component} ${{POD#pod/}}:/tmp/airmem ./traces
"""

STEPS = {"systemd": SYSTEMD, "docker": DOCKER, "compose": COMPOSE, "kubernetes": KUBERNETES}


def view_steps(component: str, place: str) -> Document:
    """Return the steps for one component in one place, to be copied into a shell."""
    lines = STEPS[place].format(component=component).rstrip("\n").split("\n")
    return Document(blocks=tuple(Paragraph(text=line, is_whole=True) for line in lines))
