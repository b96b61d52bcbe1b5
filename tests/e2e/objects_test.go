package e2e

import "testing"

// The object API and snapshots, through the server, in requests and in workers.

func TestObjectAPI(t *testing.T) {
	t.Parallel()
	runScenarios(t, []scenario{
		{"await", `return Igor\Worker::send('jobs', ['do' => 'value', 'value' => ['a' => [1, null, 2.5]]])->await();`, `{"a":[1,null,2.5]}`},
		{"iterate, then await", `$t = Igor\Worker::send('jobs', ['do' => 'updates', 'to' => 40]); $sum = 0;
			foreach ($t as $u) $sum += $u['n'];
			return [$sum, $t->await(), $t->state()->name];`, `[820,40,"Completed"]`},
		{"fail", `$t = Igor\Worker::send('jobs', ['do' => 'fail']); return [strtok(thrown(fn() => $t->await()), '/'), $t->state()->name];`,
			`["Igor\\TaskFailed: UncaughtException: DomainException: failed on purpose in ","Failed"]`},
		{"throw", `return strtok(thrown(fn() => Igor\Worker::send('jobs', ['do' => 'throw'])->await()), '/');`,
			`"Igor\\TaskFailed: UncaughtException: DomainException: thrown on purpose in "`},
		{"cancel", `$t = Igor\Worker::send('jobs', ['do' => 'until cancelled', 'file' => $f = temporary()]); $t->read(); $t->cancel();
			return [written($f), $t->state()->name];`, `["cancelled","Cancelled"]`},
		{"deadline", `$t = Igor\Worker::send('jobs', ['do' => 'until cancelled', 'file' => $f = temporary()], deadline: 2);
			return [str_starts_with(thrown(fn() => $t->await()), 'Igor\TaskFailed: Deadline'), written($f), $t->state()->name];`, `[true,"cancelled","TimedOut"]`},
		{"all", `$tasks = []; foreach (['a', 'b', 'c'] as $k) $tasks[$k] = Igor\Worker::send('jobs', ['do' => 'value', 'value' => $k]);
			return Igor\Task::all($tasks);`, `{"a":"a","b":"b","c":"c"}`},
		{"any", `return Igor\Task::any([Igor\Worker::send('jobs', ['do' => 'fail']), Igor\Worker::send('jobs', ['do' => 'value', 'value' => 'good'])]);`, `"good"`},
		{"functions and objects meet", `$t = frankenphp_worker_task_send('jobs', ['do' => 'updates', 'to' => 2]);
			$a = [updates($t)];
			foreach (Igor\Worker::send('tool', ['do' => 'count', 'to' => 2]) as $u) $a[] = $u;
			return $a;`, `[[{"n":1},{"n":2}],{"n":1},{"n":2}]`},
	})
}

func TestSnapshots(t *testing.T) {
	t.Parallel()
	runScenarios(t, []scenario{
		{"publish and read", `Igor\Worker::send('publisher', ['do' => 'publish'])->await();
			$v = frankenphp_worker_get_vars('publisher');
			return [$v['done'] > 0, $v['list'] === range(1, 1000), bin2hex($v['binary']), frankenphp_worker_get_vars('publisher') === $v];`, `[true,true,"00ff",true]`},
		{"several names", `return array_keys(frankenphp_worker_get_vars(['publisher', 'jobs']));`, `["publisher","jobs"]`},
		{"no such worker", `return thrown(fn() => frankenphp_worker_get_vars('nobody'));`,
			`"RuntimeException: no background worker named \"nobody\" in this php_server or the global block, and no catch-all"`},
		{"nothing published", `return thrown(fn() => frankenphp_worker_get_vars('tool', 0.05));`,
			`"RuntimeException: timeout waiting for background worker \"tool\" to publish its vars"`},
	})
}

// A child process gets nothing of the server: neither its sockets nor the descriptors of tasks.
func TestChildrenInheritNothing(t *testing.T) {
	t.Parallel()
	runScenarios(t, []scenario{{"child", `
		$t = send('tool', 'hold', ['file' => $f = temporary()]);
		$n = null; $r = [$t]; stream_select($r, $n, $n, 20); // which makes the task's descriptors
		exec('ls -l /proc/self/fd', $lines);
		fclose($t); written($f);
		return array_values(preg_grep('/socket:|anon_inode|eventfd/', $lines));`, `[]`}})
}
