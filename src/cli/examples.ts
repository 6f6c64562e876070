// Two examples of each command and of each command of `mpserve ctl`, for its help. Loaded only for help.
import type { Example } from '../config/help.js';

export const examples: Readonly<Record<string, readonly [Example, Example]>> = {
  serve: [
    ['serve an app on port 8080 of this machine, with as many processes as it has processors', 'mpserve ./server.js'],
    [
      'four threads in one process, for every host, with a control socket for mpserve ctl',
      'mpserve ./server.js --model prethread --threads 4 --bind :3000 --control /run/app.ctl',
    ],
  ],
  ctl: [
    ['the state of the server that was started with this control socket', 'mpserve ctl status --control /run/app.ctl'],
    ['deploy a new release without losing a request', 'mpserve ctl reload --control /run/app.ctl'],
  ],
  'ctl status': [
    ['state, model, generation and requests of a server', 'mpserve ctl status --control /run/app.ctl'],
    ['in a health check: exit 1 if no worker can serve', 'mpserve ctl status --check --control /run/app.ctl'],
  ],
  'ctl workers': [
    ['each process with its requests, memory and CPU time', 'mpserve ctl workers --watch --control /run/app.ctl'],
    ['the pids of all workers, for a script', "mpserve ctl workers --json | jq '.[].pid'"],
  ],
  'ctl stacks': [
    ['where each worker and thread is, also one in an endless loop', 'mpserve ctl stacks --control /run/app.ctl'],
    ['the function in which each of them is, for a script', "mpserve ctl stacks --json | jq '.[].loops[].stack[0]'"],
  ],
  'ctl profile': [
    [
      'where the first worker spends its time, for ten seconds',
      'mpserve ctl profile --seconds 10 --control /run/app.ctl',
    ],
    ['thread 1 of worker 2, into a file', 'mpserve ctl profile 2.1 --output slow.cpuprofile --control /run/app.ctl'],
  ],
  'ctl heap': [
    ['what the memory of the first worker is used for', 'mpserve ctl heap --control /run/app.ctl'],
    ['compressed, from another machine', "ssh app.example 'mpserve ctl heap --output -' | gzip > app.heapsnapshot.gz"],
  ],
  'ctl config': [
    ['each setting of a running server, and where it came from', 'mpserve ctl config --control /run/app.ctl'],
    ['one setting, for a script', 'mpserve ctl config --json | jq .config.workers'],
  ],
  'ctl quarantine': [
    ['the requests that were in flight when workers died', 'mpserve ctl quarantine --control /run/app.ctl'],
    ['accept all of them again, for example after a fix', 'mpserve ctl quarantine clear --control /run/app.ctl'],
  ],
  'ctl cache': [
    ['how many requests the cache has answered', 'mpserve ctl cache stats --control /run/app.ctl'],
    ['remove the responses for a path, or with a tag', 'mpserve ctl cache purge /news --control /run/app.ctl'],
  ],
  'ctl reload': [
    ['replace all workers by workers of the new release', 'mpserve ctl reload --control /run/app.ctl'],
    [
      'in a deploy script: go back if the new release does not start',
      'mpserve ctl reload --control /run/app.ctl || ./roll-back.sh',
    ],
  ],
  'ctl balance': [
    ['to the worker with the fewest connections', 'mpserve ctl balance least-connections --control /run/app.ctl'],
    ['three of four to the first worker', 'mpserve ctl balance weighted 3,1 --control /run/app.ctl'],
  ],
  'ctl switch': [
    ['to threads, without a restart', 'mpserve ctl switch --model prethread --control /run/app.ctl'],
    [
      'to two processes with four threads each',
      'mpserve ctl switch --model hybrid --workers 2 --threads 4 --control /run/app.ctl',
    ],
  ],
  'ctl upgrade': [
    [
      'the installed versions of mpserve and Node take over sockets and connections',
      'mpserve ctl upgrade --control /run/app.ctl',
    ],
    ['install the newest mpserve, and change to it', 'npm install mpserve@latest && mpserve ctl upgrade'],
  ],
  'ctl scale': [
    ['to four workers', 'mpserve ctl scale 4 --control /run/app.ctl'],
    ['one worker less', 'mpserve ctl scale -1 --control /run/app.ctl'],
  ],
  'ctl drain': [
    ['stop all workers, but keep the server and its sockets', 'mpserve ctl drain --control /run/app.ctl'],
    ['stop all workers, then start them again', 'mpserve ctl drain && mpserve ctl reload'],
  ],
  'ctl reopen': [
    ['open the log files again after their names have changed', 'mpserve ctl reopen --control /run/app.ctl'],
    ['rotate a log by hand', 'mv app.log app.log.1 && mpserve ctl reopen --control /run/app.ctl'],
  ],
  'ctl stop': [
    ['stop, and wait for the requests in flight', 'mpserve ctl stop --control /run/app.ctl'],
    ['stop at once', 'mpserve ctl stop --now --control /run/app.ctl'],
  ],
  top: [
    ['the workers and threads of a server, each second', 'mpserve top --control /run/app.ctl'],
    ['over a slow line', 'mpserve top --interval 5s --control /run/app.ctl'],
  ],
  bench: [
    [
      'compare all models on one path of an app, and write a page with charts',
      'mpserve bench ./server.js --url /api/items --html report.html',
    ],
    [
      'in CI: fail if the p99 is 10 % above that of an earlier run',
      "mpserve bench ./server.js --models prefork --compare main.json --fail-if 'p99>+10%'",
    ],
  ],
  advise: [
    ['recommend a model for an app by its front page', 'mpserve advise ./server.js'],
    [
      'by the requests of a file, with twelve rounds to tell close models apart',
      'mpserve advise ./server.js --requests requests.json --rounds 12',
    ],
  ],
  prove: [
    ['all trials under the configured model, in about 90 seconds', 'mpserve prove ./server.js'],
    [
      'until Ctrl-C: does a deployment behind this balancer lose a request?',
      'mpserve prove --target http://10.0.0.5/ --json deploy.json',
    ],
  ],
  config: [
    ['the value of each option, and where it came from', 'mpserve config'],
    [
      'the values that a start with these options would have, for a script',
      'mpserve config ./server.js --model hybrid --json',
    ],
  ],
  import: [
    [
      'write mpserve.config.mjs from the file of pm2, and see what each value becomes',
      'mpserve import ecosystem.config.js && mpserve config',
    ],
    [
      'only the app api, with its variables for production',
      'mpserve import ecosystem.config.js --name api --env production',
    ],
  ],
  completion: [
    ['complete commands and options in this shell', 'source <(mpserve completion bash)'],
    ['in every new shell', 'mpserve completion bash >> ~/.bashrc'],
  ],
};
