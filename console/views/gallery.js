// @ts-check
// The gallery: who can be found; a photo becomes a person.

import { call } from '../api.js';
import { act, loadGallery, readPhoto, thumbnail } from '../actions.js';
import { state, update } from '../store.js';
import { empty, field, html, nothing, sent, shown, t, typed, visible } from '../ui.js';

/** Cards drawn at most. */
const DRAWN = 120;

/** A place to drop a photo, which is also the button that chooses one.
 * @param {string} label @param {import('types').Photo | null} photo @param {(file: File | undefined) => void} chosen */
export const photoField = (label, photo, chosen) => html`
  <label class="drop" @dragover=${(/** @type {DragEvent} */ event) => event.preventDefault()}
    @drop=${(/** @type {DragEvent} */ event) => { event.preventDefault(); chosen(event.dataTransfer?.files[0]); }}>
    <input type="file" accept="image/jpeg,image/png" @change=${(/** @type {any} */ event) => { chosen(event.target.files[0]); event.target.value = ''; }}>
    ${photo ? html`<img src=${photo.url} alt=""> <span>${shown(photo.name, 40)}</span>` : html`<span>${label}</span>`}
  </label>`;

const enrol = sent(async (data, form) => {
  const { photo } = state;
  if (!photo) return;
  const parts = new FormData();
  for (const [name, value] of Object.entries(data)) if (value) parts.set(name, value);
  parts.set('picture', photo.file);
  const done = await act(async () => {
    await call('POST /gallery', { form: parts });
    await loadGallery();
  }, t('enrolled', { name: visible(data.name || photo.name, 40) }));
  if (done) { update({ photo: null }); form.reset(); }
});

/** @param {import('types').Schemas['ListedIdentity']} identity */
const remove = ({ nik, customer_id }) => act(async () => {
  await call('DELETE /gallery/{nik}', { path: { nik }, query: { customer_id: customer_id ?? undefined } });
  await loadGallery();
}, t('removed'));

/** @param {import('types').Schemas['ListedIdentity']} identity */
const whoIsThis = ({ nik }) => { update({ trial: { ...state.trial, nik }, trialPhoto: null }); location.hash = '#/try'; };

/** @param {import('types').Schemas['ListedIdentity']} identity */
const card = (identity) => html`
  <li class="card">${thumbnail(identity) ? html`<img src=${thumbnail(identity)} alt="" width="90" height="120">` : html`<span class="face"></span>`}
    <div><h2>${shown(identity.name || t('no_name'), 80)}</h2>
      <p><code>${identity.nik}</code></p>
      <p class="quiet">${identity.source === 'api' ? t('enrolled_here') : t('of_fixtures')}${identity.customer_id ? html` · ${t('only')} ${shown(identity.customer_id, 24)}` : nothing}
        · ${t('n_pictures', { n: identity.pictures.length })}${identity.similar.length ? ` · ${t('n_similar', { n: identity.similar.length })}` : ''}</p>
      <p class="bar"><button type="button" @click=${() => whoIsThis(identity)}>${t('try_with')}<span class="hidden"> ${visible(identity.name, 40)}</span></button>
        ${identity.source === 'api' ? html`<button type="button" class="danger" @click=${() => remove(identity)}>${t('remove')}<span class="hidden"> ${visible(identity.name, 40)}</span></button>` : nothing}</p>
    </div></li>`;

export function gallery() {
  const { photo } = state;
  const words = state.galleryFilter.toLowerCase();
  const all = [...(state.gallery?.identities ?? [])].sort((a, b) => Number(b.source === 'api') - Number(a.source === 'api'));
  const people = all.filter(({ nik, name }) => `${nik} ${name}`.toLowerCase().includes(words));
  return html`<h1 tabindex="-1">${t('gallery')}</h1>
    <form class="form enrol" @submit=${enrol}>
      <div>${photoField(t('drop_photo'), photo, async (file) => update({ photo: await readPhoto(file) }))}</div>
      <div class="pair">${field(t('name'), html`<input name="name" maxlength="200" autocomplete="off">`)}
        ${field('NIK', html`<input name="nik" inputmode="numeric" maxlength="16" autocomplete="off" placeholder=${t('made_up')}>`)}
        ${field(t('only_for'), html`<input name="customer_id" autocomplete="off" placeholder=${t('all_customers')}>`)}</div>
      <div class="bar"><button class="primary" ?disabled=${!photo}>${t('enrol')}</button>
        ${photo ? html`<button type="button" @click=${() => { update({ trialPhoto: photo }); location.hash = '#/try'; }}>${t('who_is_this')}</button>` : nothing}</div>
    </form>
    <div class="bar"><input type="search" aria-label=${t('find_person')} placeholder=${t('find_person')} .value=${state.galleryFilter} @input=${typed((galleryFilter) => update({ galleryFilter }))}>
      <span class="quiet">${t('n_people', { n: state.gallery?.total ?? 0 })}</span></div>
    ${people.length ? html`<ul class="cards">${people.slice(0, DRAWN).map(card)}</ul>` : state.gallery ? empty(t('nobody'), t('nobody_more')) : nothing}
    ${people.length > DRAWN ? html`<p class="quiet">${t('more_not_drawn', { n: people.length - DRAWN })}</p>` : nothing}`;
}
