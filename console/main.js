const answer = await fetch("version");
const { name, version } = await answer.json();
document.querySelector("#main").textContent = `${name} ${version}`;
