// The page looks again every few seconds and takes over what changed, so that an operator sees a message arrive.
const EVERY = 4000; // milliseconds
const NEAR = 40; // pixels from the end that still count as the end

const screens = () => [...document.querySelectorAll(".screen")].filter((each) => each.offsetParent !== null);
const isTalk = (screen) => screen.querySelector("[data-end]") !== null;
// A narrow screen scrolls as a whole, a phone on the desk inside.
const scroller = (screen) => (getComputedStyle(screen).overflowY === "visible" ? document.scrollingElement : screen);
const toTheEnd = (screen) => { scroller(screen).scrollTop = scroller(screen).scrollHeight; };
const placeOf = ({ scrollTop, scrollHeight, clientHeight }) => [scrollTop, scrollHeight - scrollTop - clientHeight < NEAR];

history.scrollRestoration = "manual";
const talksToTheEnd = () => screens().filter(isTalk).forEach(toTheEnd);

talksToTheEnd();
addEventListener("load", talksToTheEnd); // pictures have made it longer
let seen = document.querySelector("main").outerHTML;

async function look() {
  if (document.hidden) return;
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  if (next.outerHTML === seen) return;
  seen = next.outerHTML;
  const places = screens().map((each) => placeOf(scroller(each)));
  document.querySelector("main").replaceWith(next);
  screens().forEach((each, place) => {
    const [top, atEnd] = places[place] ?? [0, false];
    if (atEnd && isTalk(each)) toTheEnd(each);
    else scroller(each).scrollTop = top;
  });
}

setInterval(() => look().catch((error) => console.info("the simulator does not answer", error)), EVERY);
