// Sends a picture to upload.php, then listens to events.php for what becomes of it.
const form = document.querySelector('#upload');
const input = document.querySelector('#picture');
const uploads = document.querySelector('#uploads');
const template = document.querySelector('#card');
const sizes = JSON.parse(form.dataset.sizes);

function card(name) {
  const node = template.content.firstElementChild.cloneNode(true);
  node.querySelector('h2').textContent = name;
  uploads.prepend(node);
  const bar = node.querySelector('.bar');
  return {
    state(state, text) {
      node.dataset.state = state;
      node.querySelector('output').textContent = text;
    },
    progress(done, of) {
      bar.setAttribute('aria-valuenow', String(Math.round((100 * done) / of)));
      bar.firstElementChild.style.transform = `translateX(${(100 * done) / of - 100}%)`;
    },
    problem(message) {
      this.state('problem', 'Not finished');
      const place = node.querySelector('.problem');
      place.textContent = message;
      place.hidden = false;
    },
    picture({url, size, width, height, bytes}) {
      const figure = document.createElement('figure');
      const link = document.createElement('a');
      link.href = url;
      const image = document.createElement('img');
      Object.assign(image, {src: url, alt: `${name}, ${size}`, width, height});
      link.append(image);
      const caption = document.createElement('figcaption');
      const label = document.createElement('b');
      label.textContent = size;
      caption.append(label, `${width} × ${height}, ${Math.max(1, Math.round(bytes / 1024))} kB`);
      figure.append(link, caption);
      node.querySelector('.pictures').append(figure);
    },
  };
}

async function upload(file) {
  const shown = card(file.name);
  shown.state('sending', 'Uploading');
  shown.progress(0, 1);
  const body = new FormData();
  body.append('picture', file);
  let answer;
  try {
    const response = await fetch(form.action, {method: 'POST', body});
    if (response.status === 413) {
      answer = await response.json().catch(() => ({problem: 'This file is too large.'}));
    } else {
      answer = await response.json();
    }
  } catch {
    answer = {problem: 'The upload did not reach the server. Please try again.'};
  }
  if (answer.problem) {
    shown.problem(answer.problem);
    return;
  }

  const events = new EventSource(`/events.php?id=${answer.id}`);
  const end = () => events.close();
  events.addEventListener('waiting', () => shown.state('waiting', 'Waiting for a worker'));
  events.addEventListener('progress', (event) => {
    const update = JSON.parse(event.data);
    shown.state('working', `${update.done} of ${update.of} sizes`);
    shown.progress(update.done, update.of);
    shown.picture(update);
  });
  events.addEventListener('done', () => {
    end();
    shown.state('done', `${Object.keys(sizes).length} sizes made`);
  });
  events.addEventListener('problem', (event) => {
    end();
    shown.problem(JSON.parse(event.data).message);
  });
  // The connection broke: without its request the task is cancelled, so asking again would not help.
  events.addEventListener('error', () => {
    if (events.readyState === EventSource.CLOSED) return;
    end();
    shown.problem('The connection to the server was lost. Please try again.');
  });
}

form.addEventListener('submit', (event) => event.preventDefault());
input.addEventListener('change', () => {
  for (const file of input.files) upload(file);
  form.reset();
});

for (const name of ['dragenter', 'dragover']) {
  form.addEventListener(name, (event) => {
    event.preventDefault();
    form.classList.add('over');
  });
}
for (const name of ['dragleave', 'drop']) {
  form.addEventListener(name, () => form.classList.remove('over'));
}
form.addEventListener('drop', (event) => {
  event.preventDefault();
  for (const file of event.dataTransfer.files) upload(file);
});
