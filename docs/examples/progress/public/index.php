<!doctype html>
<title>Report</title>
<p><progress id="bar" value="0" max="12"></progress> <output id="text">working…</output></p>
<script>
const bar = document.querySelector('#bar'), text = document.querySelector('#text');
const events = new EventSource('/events.php?year=2026');
const end = (message) => { events.close(); text.textContent = message; };
events.addEventListener('progress', (event) => { bar.value = JSON.parse(event.data).month; });
events.addEventListener('done', (event) => end(`The sum is ${JSON.parse(event.data).sum}.`));
events.addEventListener('problem', (event) => end(JSON.parse(event.data).message));
// EventSource connects again by itself, which would begin the report anew.
events.onerror = () => end('The connection was lost.');
</script>
