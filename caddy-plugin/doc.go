// Package igor is the Caddy plugin that serves PHP and hosts pools of named background PHP workers.
//
// What is where:
//
//   - App (app.go) is the global part: the engine's settings and the global pools. One App is one load of the
//     configuration, a generation. FrankenPHP (alias.go) is the same under the name that FrankenPHP's files use.
//   - Handler (handler.go, exchange.go, server_vars.go) answers HTTP requests with PHP: the php handler, and what the
//     php_server directive expands to.
//   - WorkerConfig (worker_config.go) is one worker block, with the rules for its values in one place, so that a
//     Caddyfile and a JSON file are refused for the same reasons.
//   - http_worker.go finds the HTTP worker that answers a request, threads.go divides num_threads among them and other
//     scripts, scope_label.go names php_servers so that a reload recognizes them, watcher.go restarts workers when files
//     change, hide.go keeps back what is not for visitors.
//   - engine.go holds the PHP engine, which the whole process shares and which outlives reloads; load.go takes a generation
//     from opening over draining to closed; logs.go brings what PHP has to say into Caddy's log.
//
// Go configures, serves HTTP and reports. Tasks between PHP threads never come through here. All calls into the C++
// library go through package bridge.
package igor
